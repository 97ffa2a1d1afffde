-- Books that are only added to. That entries are in balance is looked at when a transaction ends,
-- by whoever ends it, so that two who write at once cannot put a posting out of balance together.
CREATE TABLE ledger_posting (
    key text PRIMARY KEY,
    reverses text UNIQUE REFERENCES ledger_posting (key),
    posted_unix_s bigint NOT NULL
);

CREATE TABLE ledger_entry (
    posting text NOT NULL REFERENCES ledger_posting (key) DEFERRABLE INITIALLY DEFERRED,
    line bigint NOT NULL,
    account text NOT NULL,
    currency text NOT NULL,
    amount bigint NOT NULL CHECK (amount <> 0),
    reference text NOT NULL,
    PRIMARY KEY (posting, line)
);

CREATE FUNCTION ledger_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'books are only added to' USING ERRCODE = 'restrict_violation';
END $$;

CREATE FUNCTION ledger_is_sealed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM ledger_posting WHERE key = NEW.posting) THEN
        RAISE EXCEPTION 'a posting that is written takes no more entries'
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION ledger_is_in_balance() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wanted text := to_jsonb(NEW) ->> TG_ARGV[0];
BEGIN
    IF NOT EXISTS (SELECT FROM ledger_entry WHERE posting = wanted)
        OR EXISTS (
            SELECT FROM ledger_entry WHERE posting = wanted GROUP BY currency HAVING sum(amount) <> 0
        )
    THEN
        RAISE EXCEPTION 'the entries of a posting are in balance'
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER ledger_posting_is_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_posting
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_kept();
CREATE TRIGGER ledger_entry_is_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entry
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_kept();
CREATE TRIGGER ledger_entry_is_sealed BEFORE INSERT ON ledger_entry
    FOR EACH ROW EXECUTE FUNCTION ledger_is_sealed();
CREATE CONSTRAINT TRIGGER ledger_posting_is_in_balance AFTER INSERT ON ledger_posting
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger_is_in_balance('key');
CREATE CONSTRAINT TRIGGER ledger_entry_is_in_balance AFTER INSERT ON ledger_entry
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger_is_in_balance('posting');
