/*
 * th_guc.h
 *	  The settings of telehealth, as C variables.
 *
 * Defined in one table in th_guc.c, sorted by name. Read anywhere in a
 * backend; written only by the server's own machinery.
 */
#ifndef TH_BASE_GUC_H
#define TH_BASE_GUC_H

extern char *th_guc_allowed_hosts;
extern int th_guc_batch_size;
extern bool th_guc_busy_time_blocks;
extern char *th_guc_ca_file;
extern char *th_guc_clinic_id;
extern int th_guc_connect_timeout_ms;
extern char *th_guc_databases;
extern char *th_guc_default_platform;
extern char *th_guc_environment;
extern int th_guc_failure_history_days;
extern int th_guc_history_days;
extern bool th_guc_http_dashboard;
extern char *th_guc_http_listen;
extern int th_guc_http_port;
extern int th_guc_http_workers;
extern char *th_guc_key_command;
extern char *th_guc_key_file;
extern int th_guc_lease_seconds;
extern int th_guc_max_attempts;
extern int th_guc_max_body_kb;
extern int th_guc_max_connections;
extern int th_guc_max_connections_per_host;
extern int th_guc_max_ics_kb;
extern int th_guc_max_response_kb;
extern bool th_guc_mock;
extern bool th_guc_outbound;
extern int th_guc_poll_interval_ms;
extern char *th_guc_public_url;
extern int th_guc_request_timeout_ms;
extern bool th_guc_restoring;
extern char *th_guc_worker_role;

#ifdef TH_DEBUG
extern int th_guc_debug_http_deadline_ms; /* 0: those of every day */
extern int
	th_guc_debug_http_per_address; /* 0: as above; also counts loopback */
#endif

/*
 * Defines every setting and reserves the prefix. Where: _PG_init, whether
 * preloaded or not.
 */
extern void th_guc_define(void);

/*
 * The clinic of this connection, from telehealth.clinic_id (checked when it
 * was set). Never throws.
 */
extern int64 th_guc_clinic(void);

#endif /* TH_BASE_GUC_H */
