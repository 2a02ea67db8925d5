/* SPDX-License-Identifier: MIT */
/* mysql_rows.h - the rows that the MySQL demo must get. */
#ifndef MYSQL_ROWS_H
#define MYSQL_ROWS_H

extern int rows_wanted; /* by each connection */

/* From a file.  Ends the program, with status 2, if it cannot. */
void rows_read(const char *path);

/* Is row, as libmysqlclient has it, the one at place `at' of the order that
 * connection number asked for? */
int rows_right(int number, int at, char **row);

void rows_free(void);

#endif
