/*
 * table_size.h
 *	  Plans of the store that stay good while the tables grow.
 */
#ifndef TH_STORE_TABLE_SIZE_H
#define TH_STORE_TABLE_SIZE_H

/*
 * Between begin and end, what is planned in this process takes the
 * extension's tables for large ones. Returns what end wants back. After an
 * error, end is not needed: the next begin starts anew. Never throws.
 */
extern int th_table_size_begin(void);
extern void th_table_size_end(int outer);

#endif /* TH_STORE_TABLE_SIZE_H */
