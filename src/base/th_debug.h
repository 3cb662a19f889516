/*
 * th_debug.h
 *	  Named places where a test can hold or kill a process.
 *
 * TH_DEBUG builds only; nothing otherwise. Not in a no-throw zone.
 *
 * telehealth.debug_waitpoint names the place to wait at. The process says so
 * in the log, then handles interrupts and configuration reloads until the
 * setting changes, at most 30 seconds. telehealth.debug_crash_at names a
 * place where the process kills itself with SIGKILL.
 */
#ifndef TH_BASE_DEBUG_H
#define TH_BASE_DEBUG_H

#ifdef TH_DEBUG
extern char *th_debug_waitpoint_name;
extern char *th_debug_crash_name;

/* Errors: those of CHECK_FOR_INTERRUPTS. */
extern void th_debug_waitpoint(const char *name);

#define TH_WAITPOINT(name) th_debug_waitpoint(name)
#else
#define TH_WAITPOINT(name) ((void) 0)
#endif

#endif /* TH_BASE_DEBUG_H */
