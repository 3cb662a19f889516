/*
 * gateway.h
 *	  What the gateway tells of the tables: numbers alone.
 */
#ifndef TH_STORE_GATEWAY_H
#define TH_STORE_GATEWAY_H

typedef enum ThGaugeKind
{
	TH_GAUGE_JOBS,     /* label: state */
	TH_GAUGE_OLDEST,   /* seconds */
	TH_GAUGE_ACCOUNTS, /* labels: platform, status */
	TH_GAUGE_SESSIONS, /* label: status */
	TH_GAUGE_TODAY,    /* label: status */
	TH_GAUGE_WEBHOOKS  /* labels: source, outcome */
} ThGaugeKind;

typedef struct ThGauge
{
	ThGaugeKind kind;
	const char *label; /* "" if it has none */
	const char *other_label;
	double value;
} ThGauge;

/*
 * All gauges, over all clinics. How many rows are read is bounded.
 * Memory: current context. Where: in a transaction.
 */
extern ThGauge *th_gateway_read_gauges(int *n);

/*
 * Sessions of today, as each clinic's clocks say, and webhooks of the last 24
 * hours. Bounded, memory and where as above.
 */
extern ThGauge *th_gateway_read_day(int *n);

typedef struct ThHealthRow
{
	const char *name;
	const char *status;
	const char *detail; /* NULL: nothing */
	const char *hint;   /* NULL: nothing */
} ThHealthRow;

/* telehealth.health. Memory: current context. Where: as the owner. */
extern ThHealthRow *th_gateway_read_health(int *n);

typedef enum ThTokenVerdict
{
	TH_TOKEN_NONE, /* there is no token */
	TH_TOKEN_WRONG,
	TH_TOKEN_RIGHT
} ThTokenVerdict;

/* What the digest is to the dashboard's token. */
extern ThTokenVerdict th_gateway_judge_token(const unsigned char *hash,
											 size_t length);

/*
 * Reads one of our tables: true if there are secrets that need a key.
 * Errors: whatever keeps that from being done.
 */
extern bool th_gateway_probe(void);

#endif /* TH_STORE_GATEWAY_H */
