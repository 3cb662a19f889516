/*
 * dispatcher.h
 *	  The process that does the outward work of one database.
 */
#ifndef TH_WORKER_DISPATCHER_H
#define TH_WORKER_DISPATCHER_H

#include "base/compat.h"

/* Entry of the background worker; does not return. */
extern TH_EXPORT void th_dispatcher_main(Datum main_arg);

#endif /* TH_WORKER_DISPATCHER_H */
