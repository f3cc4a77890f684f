-- The keys of the configuration a run was made of, with salted digests, as JSON; none for runs of earlier versions.
ALTER TABLE runs ADD COLUMN made_of TEXT;
