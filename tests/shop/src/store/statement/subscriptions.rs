//! What v4 asks of its tables: `schema/subscriptions.sql`.

pub(super) const INSERT: &str = "INSERT INTO subscription (idempotency_key, customer, price) \
    VALUES ($1, $2, $3) ON CONFLICT (idempotency_key) DO NOTHING";

pub(super) const ONE: &str =
    "SELECT customer, price, reference FROM subscription WHERE idempotency_key = $1";

pub(super) const SETTLE: &str = "UPDATE subscription SET reference = $1 WHERE idempotency_key = $2";

/// What has ended is what was told to have ended, whenever that was told.
pub(super) const ALL: &str = "SELECT s.idempotency_key, s.customer, s.price, s.reference, \
    (SELECT count(*) FROM provider_event e WHERE e.about = s.reference \
    AND e.kind = 'customer.subscription.deleted') \
    FROM subscription s WHERE s.reference IS NOT NULL ORDER BY s.idempotency_key LIMIT $1";

pub(super) const INVOICES: &str = "SELECT subscription, id, payment, currency, amount, period_start, period_end \
    FROM subscription_invoice ORDER BY period_start, id LIMIT $1";

/// The provider's id of an event is what makes it count once.
pub(super) const INSERT_EVENT: &str = "INSERT INTO provider_event (id, kind, about) \
    VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING";

pub(super) const INSERT_INVOICE: &str = "INSERT INTO subscription_invoice \
    (id, subscription, payment, currency, amount, period_start, period_end) \
    VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING";
