-- Table with the numbers of the files that were run, see migrations.ts.
CREATE TABLE redox.migration (
  number int PRIMARY KEY,
  applied_at timestamptz NOT NULL DEFAULT now()
);
-- A user without ownership of the tables has rights only on the tables that existed when the rights were granted.
GRANT SELECT ON redox.migration TO PUBLIC;

-- Earlier releases read the version from this table, and refuse the database because of the number 4, which never
-- changes.
UPDATE redox.version SET version = 4;
