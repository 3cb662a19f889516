/*
 * page.h
 *	  GET /: what a person wants to know of this database's telehealth at a
 *	  glance. See ThAnswer in route.h.
 */
#ifndef TH_GATEWAY_PAGE_H
#define TH_GATEWAY_PAGE_H

struct ThHttpRequest;

/*
 * While there is no token, for programs of this machine that ask for it by its
 * own name; else for those who have the token. For others 401.
 */
extern void th_page_answer(struct ThHttpRequest *request);

#endif /* TH_GATEWAY_PAGE_H */
