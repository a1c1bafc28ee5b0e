-- Numbers of the files that were run, see migrations.ts.
CREATE TABLE redox.migration (
  number int PRIMARY KEY,
  applied_at timestamptz NOT NULL DEFAULT now()
);
-- A user that runs the store from day to day was given rights on the tables that there were.
GRANT SELECT ON redox.migration TO PUBLIC;

-- Releases before this table know the version by this one: they refuse the database. It stays at 4.
UPDATE redox.version SET version = 4;
