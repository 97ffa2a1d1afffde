-- What v4 needs; both databases take it. It is not seeded: it comes with a migration.
CREATE TABLE subscription (
    idempotency_key TEXT NOT NULL PRIMARY KEY,
    customer TEXT NOT NULL,
    price TEXT NOT NULL,
    reference TEXT
);
CREATE TABLE subscription_invoice (
    id TEXT NOT NULL PRIMARY KEY,
    subscription TEXT NOT NULL,
    payment TEXT NOT NULL,
    currency TEXT NOT NULL,
    amount BIGINT NOT NULL,
    period_start BIGINT NOT NULL,
    period_end BIGINT NOT NULL
);
CREATE TABLE provider_event (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    about TEXT NOT NULL
);
