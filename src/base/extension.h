/*-------------------------------------------------------------------------
 *
 * extension.h
 *	  The installed extension in this database: its objects and version.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_EXTENSION_H
#define ATX_EXTENSION_H

#define ATX_VERSION_LEN		16

typedef struct AtxExtension
{
	Oid			oid;
	Oid			owner;			/* of the tables: whose rights we act with */
	Oid			schema;
	Oid			index_sequence;
	char		version[ATX_VERSION_LEN];	/* of the SQL objects */
	bool		safe;			/* the schema is in the same hands */
	bool		created_here;	/* by the running transaction */
} AtxExtension;

extern void atx_extension_init(void);
extern const AtxExtension *atx_extension_lookup(void);
extern const AtxExtension *atx_extension(void);
extern Oid	atx_extension_sequence(void);
extern void atx_extension_changed(void);
extern uint64 atx_extension_generation(void);

#endif							/* ATX_EXTENSION_H */
