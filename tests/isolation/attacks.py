"""Ways from one tenant to another: statements as the first one's application may send them. Data, no logic.

Each is a row of statements, run one after the other in one session. {schema}, {role}, {mark} are the victim's, {owner}
is who owns both. A new way belongs here.
"""

ATTACKS: dict[str, tuple[str, ...]] = {
    "select": ("SELECT * FROM {schema}.documents",),
    "join": ("SELECT * FROM documents mine JOIN {schema}.documents yours ON true",),
    "left join": ("SELECT * FROM documents mine LEFT JOIN {schema}.documents yours ON mine.id = yours.id",),
    "lateral": ("SELECT * FROM documents m CROSS JOIN LATERAL (SELECT * FROM {schema}.documents) y",),
    "union": ("SELECT body FROM documents UNION ALL SELECT body FROM {schema}.documents",),
    "subselect": ("SELECT (SELECT string_agg(body, ',') FROM {schema}.documents)",),
    "exists": ("SELECT 1 WHERE EXISTS (SELECT FROM {schema}.documents WHERE body LIKE '{canary}%%')",),
    "common table": ("WITH taken AS MATERIALIZED (SELECT * FROM {schema}.documents) SELECT * FROM taken",),
    "whole row": ("SELECT to_jsonb(d) FROM {schema}.documents d",),
    "sample": ("SELECT * FROM {schema}.documents TABLESAMPLE SYSTEM (100)",),
    "table command": ("TABLE {schema}.documents",),
    "all tables": ("SELECT * FROM {schema}.settings, {schema}.events, {schema}.audit_log",),
    "search path": ("SET search_path TO {schema}", "SELECT * FROM documents"),
    "cursor": ("BEGIN", "DECLARE c CURSOR FOR SELECT * FROM {schema}.documents", "FETCH ALL FROM c"),
    "lock for update": ("SELECT * FROM {schema}.documents FOR UPDATE",),
    # Writing
    "insert over": ("INSERT INTO {schema}.documents (title, body) VALUES ('mine now', 'x') RETURNING *",),
    "insert as them": (
        "INSERT INTO {schema}.documents (tenant, title) VALUES ('{mark}', 'theirs, but from me') RETURNING *",
    ),
    "insert here as them": ("INSERT INTO documents (tenant, title) VALUES ('{mark}', 'x') RETURNING *",),
    "insert select": ("INSERT INTO documents (title, body) SELECT title, body FROM {schema}.documents RETURNING *",),
    "update": ("UPDATE {schema}.documents SET body = 'taken' RETURNING *",),
    "update from": ("UPDATE documents m SET body = y.body FROM {schema}.documents y RETURNING *",),
    "give away": ("UPDATE documents SET tenant = '{mark}' RETURNING *",),
    "delete": ("DELETE FROM {schema}.documents RETURNING *",),
    "delete using": ("DELETE FROM documents m USING {schema}.documents y WHERE y.body IS NOT NULL RETURNING y.*",),
    "merge": (
        "MERGE INTO documents m USING {schema}.documents y ON m.id = y.id WHEN MATCHED THEN UPDATE SET body = y.body",
        "SELECT * FROM documents",
    ),
    "upsert": (
        (
            "INSERT INTO {schema}.settings (section, value) VALUES ('secret', '1') "
            "ON CONFLICT (section) DO UPDATE SET value = settings.value RETURNING *"
        ),
    ),
    "truncate": ("TRUNCATE {schema}.documents",),
    "lock table": ("BEGIN", "LOCK TABLE {schema}.documents IN ACCESS EXCLUSIVE MODE"),
    # COPY
    "copy out": ("COPY {schema}.documents TO STDOUT",),
    "copy query": ("COPY (SELECT * FROM {schema}.documents) TO STDOUT",),
    "copy in": ("COPY {schema}.documents (title) FROM STDIN",),
    "copy in as them": ("COPY documents (tenant, title) FROM STDIN",),
    "copy to file": ("COPY {schema}.documents TO '/tmp/tenantry-stolen'",),
    "copy to program": ("COPY {schema}.documents TO PROGRAM 'cat'",),
    # Prepared statements: what was planned for one tenant must not run for another
    "prepared": ("PREPARE p AS SELECT * FROM {schema}.documents", "EXECUTE p"),
    "prepared, then another tenant": (
        "PREPARE p AS SELECT * FROM documents",
        "EXECUTE p",
        "SET plan_cache_mode TO force_generic_plan",
        "SET tenantry.tenant TO '{mark}'",
        "SET search_path TO {schema}",
        "EXECUTE p",
    ),
    # Becoming somebody else
    "set role": ("SET ROLE {role}", "SELECT * FROM {schema}.documents"),
    "set role and tenant": ("SET ROLE {role}", "SET tenantry.tenant TO '{mark}'", "SELECT * FROM {schema}.documents"),
    "set role to the owner": ("SET ROLE {owner}", "SELECT * FROM {schema}.documents"),
    "role setting": ("SELECT set_config('role', '{role}', false)", "SELECT * FROM {schema}.documents"),
    "session authorization": ("SET SESSION AUTHORIZATION {role}", "SELECT * FROM {schema}.documents"),
    "authorization of the owner": ("SET SESSION AUTHORIZATION {owner}", "SELECT * FROM {schema}.documents"),
    "join the role": ("GRANT {role} TO CURRENT_USER", "SET ROLE {role}", "SELECT * FROM {schema}.documents"),
    "take the role's password": ("ALTER ROLE {role} PASSWORD 'mine'",),
    "bypass": ("ALTER ROLE CURRENT_USER BYPASSRLS", "SELECT * FROM {schema}.documents"),
    "superuser": ("ALTER ROLE CURRENT_USER SUPERUSER", "SELECT * FROM {schema}.documents"),
    "new role": ("CREATE ROLE dept_helper BYPASSRLS LOGIN",),
    # The session's tenant
    "set the tenant": ("SET tenantry.tenant TO '{mark}'", "SELECT * FROM {schema}.documents"),
    "set the tenant by function": (
        "SELECT set_config('tenantry.tenant', '{mark}', false)",
        "SELECT * FROM {schema}.documents",
    ),
    "set the tenant for a transaction": (
        "BEGIN",
        "SET LOCAL tenantry.tenant TO '{mark}'",
        "SELECT * FROM {schema}.documents",
    ),
    "set the tenant, read at home": ("SET tenantry.tenant TO '{mark}'", "SELECT * FROM documents"),
    "unset the tenant": ("SET tenantry.tenant TO ''", "SELECT * FROM {schema}.documents"),
    "reset the tenant": ("RESET tenantry.tenant", "SELECT * FROM {schema}.documents"),
    "set the tenant for good": ("ALTER ROLE CURRENT_USER SET tenantry.tenant TO '{mark}'",),
    "set the tenant of the other": ("ALTER ROLE {role} SET tenantry.tenant TO 'tenantry/dept_one'",),
    "discard all": ("DISCARD ALL", "SELECT * FROM {schema}.documents"),
    "row security off": ("SET row_security TO off", "SELECT * FROM {schema}.documents"),
    "row security off at home": ("SET row_security TO off", "SELECT * FROM documents WHERE tenant = '{mark}'"),
    # Objects
    "view": ("CREATE VIEW v AS SELECT * FROM {schema}.documents", "SELECT * FROM v"),
    "temporary view": ("CREATE TEMP VIEW v AS SELECT * FROM {schema}.documents", "SELECT * FROM v"),
    "materialized view": ("CREATE MATERIALIZED VIEW v AS SELECT * FROM {schema}.documents", "SELECT * FROM v"),
    "temporary table": ("CREATE TEMP TABLE t AS SELECT * FROM {schema}.documents", "SELECT * FROM t"),
    "temporary table with their name": ("CREATE TEMP TABLE documents (tenant text, title text, body text)",),
    "select into": ("SELECT * INTO stolen FROM {schema}.documents", "SELECT * FROM stolen"),
    "foreign key": ("CREATE TABLE t (id bigint REFERENCES {schema}.documents (id))",),
    "foreign key at home": (
        "ALTER TABLE messages ADD CONSTRAINT f FOREIGN KEY (run_id) REFERENCES {schema}.workflow_runs (id)",
    ),
    "like": ("CREATE TABLE t (LIKE {schema}.documents INCLUDING ALL)",),
    "inherit": ("CREATE TABLE t () INHERITS ({schema}.documents)", "SELECT * FROM t"),
    "function": (
        "CREATE FUNCTION f() RETURNS SETOF text SECURITY DEFINER LANGUAGE sql AS 'SELECT body FROM {schema}.documents'",
        "SELECT f()",
    ),
    "function in public": (
        "CREATE FUNCTION public.f() RETURNS SETOF text LANGUAGE sql AS 'SELECT body FROM {schema}.documents'",
        "SELECT public.f()",
    ),
    "temporary function": (
        "CREATE FUNCTION pg_temp.f() RETURNS SETOF text LANGUAGE sql AS 'SELECT body FROM {schema}.documents'",
        "SELECT pg_temp.f()",
    ),
    "do": (
        (
            "DO $$ DECLARE said text; BEGIN SELECT string_agg(body, ',') INTO said FROM {schema}.documents; "
            "RAISE EXCEPTION 'body: %%', said; END $$"
        ),
    ),
    "operator that tells": (
        (
            "CREATE FUNCTION tell(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS "
            "$$ BEGIN RAISE EXCEPTION 'saw %%', $1; END $$"
        ),
        "SELECT * FROM {schema}.documents WHERE tell(body)",
    ),
    "schema": ("CREATE SCHEMA mine",),
    "trigger": (
        (
            "CREATE TRIGGER t BEFORE UPDATE ON {schema}.documents FOR EACH ROW "
            "EXECUTE FUNCTION suppress_redundant_updates_trigger()"
        ),
    ),
    "rule": ("CREATE RULE r AS ON SELECT TO documents DO INSTEAD SELECT * FROM {schema}.documents",),
    "extension": ("CREATE EXTENSION postgres_fdw",),
    "publication": ("CREATE PUBLICATION p FOR TABLE {schema}.documents",),
    # The fence itself
    "disable": ("ALTER TABLE {schema}.documents DISABLE ROW LEVEL SECURITY",),
    "disable at home": ("ALTER TABLE documents DISABLE ROW LEVEL SECURITY",),
    "no force": ("ALTER TABLE {schema}.documents NO FORCE ROW LEVEL SECURITY",),
    "drop the policy": ("DROP POLICY tenant_bound ON {schema}.documents", "SELECT * FROM {schema}.documents"),
    "drop the policy at home": ("DROP POLICY tenant_bound ON documents",),
    "change the policy": ("ALTER POLICY tenant_bound ON {schema}.documents USING (true)",),
    "own policy": ("CREATE POLICY mine ON {schema}.documents USING (true)", "SELECT * FROM {schema}.documents"),
    "own the table": ("ALTER TABLE {schema}.documents OWNER TO CURRENT_USER",),
    "grant": ("GRANT SELECT ON {schema}.documents TO CURRENT_USER", "SELECT * FROM {schema}.documents"),
    "drop": ("DROP SCHEMA {schema} CASCADE",),
    # What errors and plans tell
    "explain": ("EXPLAIN (VERBOSE) SELECT * FROM {schema}.documents WHERE body = 'x'",),
    "explain analyze": ("EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM {schema}.documents",),
    "cast that fails": ("SELECT * FROM {schema}.documents WHERE body::int = 1",),
    "division that fails": ("SELECT * FROM {schema}.documents WHERE 1 / (length(body) - length(body)) = 1",),
    "cast in a join": ("SELECT * FROM documents m JOIN {schema}.documents y ON y.body::int = m.id",),
    "key that is taken": ("INSERT INTO {schema}.settings (section, tenant, value) VALUES ('secret', '{mark}', '1')",),
    "key that is referred to": ("INSERT INTO messages (run_id, direction) VALUES (4711, 'in') RETURNING *",),
    # Functions of the server that run a query, or read
    "query to xml": ("SELECT query_to_xml('SELECT * FROM {schema}.documents', true, false, '')",),
    "table to xml": ("SELECT table_to_xml('{schema}.documents', true, false, '')",),
    "schema to xml": ("SELECT schema_to_xml('{schema}', true, false, '')",),
    "database to xml": ("SELECT database_to_xml(true, false, '')",),
    "words": ("SELECT * FROM ts_stat('SELECT to_tsvector(body) FROM {schema}.documents')",),
    "read a file": ("SELECT pg_read_file('postgresql.conf')",),
    "list a folder": ("SELECT pg_ls_dir('.')",),
    "import a file": ("SELECT lo_import('/etc/passwd')",),
    "counter": ("SELECT * FROM {schema}.documents_id_seq",),
    "next number": ("SELECT nextval('{schema}.documents_id_seq')",),
    # Catalogs
    "statistics": ("SELECT * FROM pg_stats WHERE schemaname = '{schema}'",),
    "raw statistics": ("SELECT * FROM pg_statistic",),
    "passwords": ("SELECT * FROM pg_authid",),
    "other sessions": ("SELECT * FROM pg_stat_activity",),
    "end sessions": ("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'",),
    "columns of others": ("SELECT * FROM information_schema.columns WHERE table_schema = '{schema}'",),
    "change the catalog": ("UPDATE pg_class SET relrowsecurity = false WHERE relname = 'documents'",),
}
