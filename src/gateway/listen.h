/*
 * listen.h
 *	  The socket that a gateway process listens at.
 */
#ifndef TH_GATEWAY_LISTEN_H
#define TH_GATEWAY_LISTEN_H

/*
 * A listening socket at "address" (as telehealth.http_listen) and "port",
 * which other processes of the door may share; -1 with errno set if it cannot
 * be had. Unless "has_sibling" the address must be free of any other program,
 * one of ours in another server too.
 */
extern int th_listen_open(const char *address, int port, bool has_sibling);

#endif /* TH_GATEWAY_LISTEN_H */
