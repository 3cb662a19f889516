/*
 * table_size.h
 *	  Plans of the store that stay good while the tables grow.
 */
#ifndef TH_STORE_TABLE_SIZE_H
#define TH_STORE_TABLE_SIZE_H

/*
 * While true, what is planned in this process takes the extension's tables
 * for large ones. Returns what was set before. Never throws.
 */
extern bool th_table_size_assume_large(bool is_large);

#endif /* TH_STORE_TABLE_SIZE_H */
