-- The whole catalogue as one JSON text, in the shape of `Schema`. Runs with an empty search path, so
-- that every definition spells its schemas out and is the same for every session. $1 is the name of
-- the table that holds the history of migrations, which is not part of the schema.
WITH spaces AS (
    SELECT oid, nspname, CASE nspname WHEN 'public' THEN '' ELSE nspname || '.' END AS prefix
    FROM pg_namespace
    WHERE nspname <> 'information_schema' AND nspname NOT LIKE 'pg\_%'
), extended AS (
    SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
), relations AS (
    SELECT c.*, s.nspname, s.prefix || c.relname AS name,
        format('%I.%I', s.nspname, c.relname) AS sql_name
    FROM pg_class c JOIN spaces s ON s.oid = c.relnamespace
    WHERE c.relname <> $1
        AND (c.oid NOT IN (SELECT objid FROM extended WHERE classid = 'pg_class'::regclass))
), columns AS (
    SELECT a.attrelid, json_agg(json_build_object(
        'name', a.attname,
        'type', format_type(a.atttypid, a.atttypmod),
        'nullable', NOT a.attnotnull,
        'default', CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END,
        'details', concat_ws(', ',
            CASE a.attidentity WHEN 'a' THEN 'identity always' WHEN 'd' THEN 'identity' END,
            CASE WHEN a.attgenerated <> '' THEN 'generated: ' || pg_get_expr(d.adbin, d.adrelid) END,
            CASE WHEN a.attcollation <> t.typcollation THEN 'collate ' || a.attcollation::regcollation::text END,
            CASE WHEN NOT a.attislocal THEN 'inherited' END,
            CASE WHEN a.attstorage <> t.typstorage THEN 'storage ' || a.attstorage::text END,
            'grants ' || (SELECT string_agg(g::text, ' ' ORDER BY g::text) FROM unnest(a.attacl) g),
            'comment ' || quote_literal(col_description(a.attrelid, a.attnum)))
        ) ORDER BY a.attnum) AS list
    FROM pg_attribute a
        JOIN pg_type t ON t.oid = a.atttypid
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attnum > 0 AND NOT a.attisdropped
    GROUP BY a.attrelid
), constraints AS (
    SELECT k.conrelid, json_agg(json_build_object(
        'name', k.conname,
        'kind', CASE k.contype WHEN 'p' THEN 'primary_key' WHEN 'u' THEN 'unique'
            WHEN 'f' THEN 'foreign_key' WHEN 'c' THEN 'check' ELSE 'other' END,
        'columns', coalesce((SELECT json_agg(a.attname ORDER BY key.place)
            FROM unnest(k.conkey) WITH ORDINALITY AS key (attnum, place)
                JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = key.attnum), '[]'),
        'references', (SELECT r.name FROM relations r WHERE r.oid = k.confrelid),
        'definition', pg_get_constraintdef(k.oid)
            || CASE WHEN k.convalidated THEN '' ELSE ' -- not validated' END
        ) ORDER BY k.conname COLLATE "C") AS list
    FROM pg_constraint k
    -- From version 18 on NOT NULL is one of these too; here it belongs to the column.
    WHERE k.conrelid <> 0 AND k.contype <> 'n'
    GROUP BY k.conrelid
), indexes AS (
    SELECT i.indrelid, json_agg(json_build_object(
        'name', r.name,
        'sql_name', r.sql_name,
        'columns', (SELECT json_agg(CASE
                WHEN i.indkey[n - 1] = 0 THEN '(' || pg_get_indexdef(i.indexrelid, n, false) || ')'
                ELSE (SELECT attname FROM pg_attribute
                    WHERE attrelid = i.indrelid AND attnum = i.indkey[n - 1]) END ORDER BY n)
            FROM generate_series(1, i.indnkeyatts::int) n),
        'unique', i.indisunique,
        'partial', i.indpred IS NOT NULL,
        'valid', i.indisvalid AND i.indisready,
        'method', m.amname,
        'constraint', (SELECT min(k.conname) FROM pg_constraint k
            WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x')),
        'definition', pg_get_indexdef(i.indexrelid)
        ) ORDER BY r.name COLLATE "C") AS list
    FROM pg_index i
        JOIN relations r ON r.oid = i.indexrelid
        JOIN pg_am m ON m.oid = r.relam
    GROUP BY i.indrelid
), tables AS (
    SELECT json_agg(json_build_object(
        'name', r.name,
        'schema', r.nspname,
        'sql_name', r.sql_name,
        'definition', concat_ws(', ',
            CASE r.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned by ' || pg_get_partkeydef(r.oid)
                WHEN 'f' THEN 'foreign table' ELSE 'materialized view ' || pg_get_viewdef(r.oid) END,
            CASE WHEN r.relpersistence = 'u' THEN 'unlogged' END,
            'with ' || array_to_string(r.reloptions, ' '),
            pg_get_expr(r.relpartbound, r.oid),
            'inherits ' || (SELECT string_agg(h.inhparent::regclass::text, ' ' ORDER BY h.inhseqno)
                FROM pg_inherits h WHERE h.inhrelid = r.oid),
            CASE WHEN r.relrowsecurity THEN 'row security' END,
            CASE WHEN r.relforcerowsecurity THEN 'forced row security' END,
            CASE WHEN r.relreplident <> 'd' THEN 'replica identity ' || r.relreplident::text END,
            'grants ' || (SELECT string_agg(g::text, ' ' ORDER BY g::text)
                FROM unnest(coalesce(r.relacl, acldefault('r', r.relowner))) g),
            'comment ' || quote_literal(obj_description(r.oid, 'pg_class'))),
        'columns', coalesce(columns.list, '[]'),
        'constraints', coalesce(constraints.list, '[]'),
        'indexes', coalesce(indexes.list, '[]')
        ) ORDER BY r.name COLLATE "C") AS list
    FROM relations r
        LEFT JOIN columns ON columns.attrelid = r.oid
        LEFT JOIN constraints ON constraints.conrelid = r.oid
        LEFT JOIN indexes ON indexes.indrelid = r.oid
    WHERE r.relkind IN ('r', 'p', 'f', 'm')
), objects (kind, name, "table", definition) AS (
    SELECT 'view', r.name, NULL, concat_ws(', ', pg_get_viewdef(r.oid), array_to_string(r.reloptions, ' '))
    FROM relations r WHERE r.relkind = 'v'
    UNION ALL
    SELECT 'sequence', r.name,
        (SELECT o.name FROM pg_depend d JOIN relations o ON o.oid = d.refobjid
            WHERE d.classid = 'pg_class'::regclass AND d.objid = r.oid
                AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')),
        concat_ws(' ', q.seqtypid::regtype, 'start', q.seqstart, 'by', q.seqincrement, 'from', q.seqmin,
            'to', q.seqmax, 'cache', q.seqcache, CASE WHEN q.seqcycle THEN 'cycle' END)
    FROM relations r JOIN pg_sequence q ON q.seqrelid = r.oid
    UNION ALL
    SELECT 'trigger', t.tgname, r.name, pg_get_triggerdef(t.oid) || ' enabled ' || t.tgenabled::text
    FROM pg_trigger t JOIN relations r ON r.oid = t.tgrelid WHERE NOT t.tgisinternal
    UNION ALL
    SELECT 'rule', u.rulename, r.name, pg_get_ruledef(u.oid)
    FROM pg_rewrite u JOIN relations r ON r.oid = u.ev_class WHERE u.rulename <> '_RETURN'
    UNION ALL
    SELECT 'policy', p.polname, r.name, concat_ws(' ', p.polcmd, p.polpermissive,
        (SELECT string_agg(role::regrole::text, ' ' ORDER BY role::regrole::text) FROM unnest(p.polroles) role
            WHERE role <> 0), pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
    FROM pg_policy p JOIN relations r ON r.oid = p.polrelid
    UNION ALL
    SELECT 'statistics', s.prefix || e.stxname, r.name, pg_get_statisticsobjdef(e.oid)
    FROM pg_statistic_ext e JOIN spaces s ON s.oid = e.stxnamespace JOIN relations r ON r.oid = e.stxrelid
    UNION ALL
    SELECT CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'r' THEN 'range' ELSE 'composite' END,
        s.prefix || t.typname, NULL, CASE t.typtype
            WHEN 'e' THEN (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
                FROM pg_enum e WHERE e.enumtypid = t.oid)
            WHEN 'd' THEN concat_ws(' ', format_type(t.typbasetype, t.typtypmod), t.typdefault,
                CASE WHEN t.typnotnull THEN 'not null' END,
                (SELECT string_agg(pg_get_constraintdef(k.oid), ' ' ORDER BY k.conname)
                    FROM pg_constraint k WHERE k.contypid = t.oid))
            WHEN 'r' THEN (SELECT g.rngsubtype::regtype::text FROM pg_range g WHERE g.rngtypid = t.oid)
            ELSE columns.list::text END
    FROM pg_type t
        JOIN spaces s ON s.oid = t.typnamespace
        LEFT JOIN relations r ON r.oid = t.typrelid
        LEFT JOIN columns ON columns.attrelid = t.typrelid
    WHERE (t.typtype IN ('e', 'd', 'r') OR r.relkind = 'c')
        AND t.oid NOT IN (SELECT objid FROM extended WHERE classid = 'pg_type'::regclass)
    UNION ALL
    SELECT CASE p.prokind WHEN 'a' THEN 'aggregate' WHEN 'p' THEN 'procedure' ELSE 'function' END,
        s.prefix || p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')', NULL,
        CASE WHEN p.prokind = 'a' THEN p.prorettype::regtype::text ELSE pg_get_functiondef(p.oid) END
    FROM pg_proc p JOIN spaces s ON s.oid = p.pronamespace
    WHERE p.oid NOT IN (SELECT objid FROM extended WHERE classid = 'pg_proc'::regclass)
    UNION ALL
    SELECT 'schema', nspname, NULL, '' FROM spaces WHERE nspname <> 'public'
    UNION ALL
    SELECT 'extension', extname, NULL, extversion FROM pg_extension WHERE extname <> 'plpgsql'
)
SELECT json_build_object(
    'tables', coalesce((SELECT list FROM tables), '[]'),
    'objects', coalesce((SELECT json_agg(json_build_object(
        'kind', kind, 'name', name, 'table', "table", 'definition', coalesce(definition, ''))
        ORDER BY kind, name COLLATE "C", "table" COLLATE "C", definition COLLATE "C") FROM objects), '[]')
)::text
