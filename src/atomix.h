/*-------------------------------------------------------------------------
 *
 * atomix.h
 *	  Names every part of the extension shares.
 *
 * Keep this file to identifiers, limits and versions: a declaration that
 * belongs to one room goes into that room's header.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATOMIX_H
#define ATOMIX_H

/* The SQL script this library was built for; equals default_version. */
#define ATX_LIBRARY_VERSION		"1.0"

#define ATX_EXTENSION_NAME		"atomix"
#define ATX_SCHEMA_NAME			"atomix"

/* The only partition an installation has until partitions are placed. */
#define ATX_DEFAULT_PARTITION	1

#endif							/* ATOMIX_H */
