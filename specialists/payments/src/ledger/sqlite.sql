-- Books that are only added to. The entries of a posting are written first and the posting last:
-- it seals them, and is refused where they are not in balance. WITHOUT ROWID, and every key guarded
-- by a trigger, because a REPLACE deletes without asking the triggers of a deletion.
CREATE TABLE ledger_posting (
    key TEXT PRIMARY KEY NOT NULL,
    reverses TEXT UNIQUE REFERENCES ledger_posting (key),
    posted_unix_s INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE ledger_entry (
    posting TEXT NOT NULL REFERENCES ledger_posting (key) DEFERRABLE INITIALLY DEFERRED,
    line INTEGER NOT NULL,
    account TEXT NOT NULL,
    currency TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount <> 0),
    reference TEXT NOT NULL,
    PRIMARY KEY (posting, line)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER ledger_posting_is_sealed BEFORE INSERT ON ledger_posting
WHEN EXISTS (SELECT 1 FROM ledger_posting WHERE key = NEW.key OR reverses = NEW.reverses)
    OR NOT EXISTS (SELECT 1 FROM ledger_entry WHERE posting = NEW.key)
    OR EXISTS (
        SELECT 1 FROM ledger_entry WHERE posting = NEW.key GROUP BY currency HAVING sum(amount) <> 0
    )
BEGIN
    SELECT RAISE(ABORT, 'a posting is written once, and its entries are in balance');
END;

CREATE TRIGGER ledger_entry_is_sealed BEFORE INSERT ON ledger_entry
WHEN EXISTS (SELECT 1 FROM ledger_posting WHERE key = NEW.posting)
    OR EXISTS (SELECT 1 FROM ledger_entry WHERE posting = NEW.posting AND line = NEW.line)
BEGIN
    SELECT RAISE(ABORT, 'a posting that is written takes no more entries');
END;

CREATE TRIGGER ledger_posting_is_kept BEFORE UPDATE ON ledger_posting
BEGIN SELECT RAISE(ABORT, 'books are only added to'); END;
CREATE TRIGGER ledger_posting_stays BEFORE DELETE ON ledger_posting
BEGIN SELECT RAISE(ABORT, 'books are only added to'); END;
CREATE TRIGGER ledger_entry_is_kept BEFORE UPDATE ON ledger_entry
BEGIN SELECT RAISE(ABORT, 'books are only added to'); END;
CREATE TRIGGER ledger_entry_stays BEFORE DELETE ON ledger_entry
BEGIN SELECT RAISE(ABORT, 'books are only added to'); END;
