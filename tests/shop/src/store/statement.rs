//! Every statement the shop ever runs. One text serves both databases: SQLite takes `$1` as the
//! name of its first parameter, so the parameters of a text must appear in their order.

mod subscriptions;

/// A statement by its purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Statement {
    Products,
    Product,
    Order,
    OrderLines,
    OrderJoined,
    LockOrder,
    InsertOrder,
    InsertLines,
    InsertPayment,
    Payment,
    SettlePayment,
    Payments,
    InsertSubscription,
    Subscription,
    SettleSubscription,
    Subscriptions,
    Invoices,
    InsertEvent,
    InsertInvoice,
    InsertAccount,
    Account,
    UpdateAccount,
    Begin,
    BeginImmediate,
    Commit,
    Rollback,
}

impl Statement {
    pub(crate) const ALL: [Self; STATEMENT_TEXTS_MAX] = [
        Self::Products,
        Self::Product,
        Self::Order,
        Self::OrderLines,
        Self::OrderJoined,
        Self::LockOrder,
        Self::InsertOrder,
        Self::InsertLines,
        Self::InsertPayment,
        Self::Payment,
        Self::SettlePayment,
        Self::Payments,
        Self::InsertSubscription,
        Self::Subscription,
        Self::SettleSubscription,
        Self::Subscriptions,
        Self::Invoices,
        Self::InsertEvent,
        Self::InsertInvoice,
        Self::InsertAccount,
        Self::Account,
        Self::UpdateAccount,
        Self::Begin,
        Self::BeginImmediate,
        Self::Commit,
        Self::Rollback,
    ];

    /// The text as it is prepared.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Products => "SELECT id, name, price_cents FROM product ORDER BY id LIMIT $1",
            Self::Product => "SELECT id, name FROM product WHERE id = $1",
            Self::Order => "SELECT id, customer, placed_at FROM orders WHERE id = $1",
            Self::OrderLines => {
                "SELECT id, quantity, unit_price_cents, product_id FROM order_line \
                 WHERE order_id = $1 ORDER BY id"
            }
            // Outer joins: an order without lines is still an order.
            Self::OrderJoined => {
                "SELECT o.id, o.customer, o.placed_at, \
                 l.id, l.quantity, l.unit_price_cents, p.id, p.name \
                 FROM orders o LEFT JOIN order_line l ON l.order_id = o.id \
                 LEFT JOIN product p ON p.id = l.product_id WHERE o.id = $1 ORDER BY l.id"
            }
            Self::LockOrder => "SELECT id FROM orders WHERE id = $1 FOR UPDATE",
            Self::InsertOrder => {
                "INSERT INTO orders (customer, placed_at) VALUES ($1, $2) RETURNING id"
            }
            // One statement however many rows, so that what is measured is the table and its
            // indexes and not round trips. Writes no row when there is no such product.
            Self::InsertLines => {
                "INSERT INTO order_line (order_id, product_id, quantity, unit_price_cents) \
                 WITH RECURSIVE copy (n) AS (SELECT CAST(1 AS BIGINT) \
                 UNION ALL SELECT n + 1 FROM copy WHERE n < CAST($1 AS BIGINT)) \
                 SELECT CAST($2 AS BIGINT), p.id, CAST($3 AS BIGINT), p.price_cents \
                 FROM product p CROSS JOIN copy WHERE p.id = $4"
            }
            // Whoever comes second writes nothing, and reads what the first one wrote.
            Self::InsertPayment => {
                "INSERT INTO payment (idempotency_key, amount, currency, customer) \
                 VALUES ($1, $2, $3, $4) ON CONFLICT (idempotency_key) DO NOTHING"
            }
            Self::Payment => {
                "SELECT amount, currency, customer, reference FROM payment \
                 WHERE idempotency_key = $1"
            }
            Self::SettlePayment => "UPDATE payment SET reference = $1 WHERE idempotency_key = $2",
            Self::Payments => {
                "SELECT idempotency_key, amount, currency, customer, reference FROM payment \
                 WHERE reference IS NOT NULL ORDER BY idempotency_key LIMIT $1"
            }
            Self::InsertSubscription => subscriptions::INSERT,
            Self::Subscription => subscriptions::ONE,
            Self::SettleSubscription => subscriptions::SETTLE,
            Self::Subscriptions => subscriptions::ALL,
            Self::Invoices => subscriptions::INVOICES,
            Self::InsertEvent => subscriptions::INSERT_EVENT,
            Self::InsertInvoice => subscriptions::INSERT_INVOICE,
            Self::InsertAccount => {
                "INSERT INTO account (email, username, password_hash, role) \
                 VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING"
            }
            Self::Account => {
                "SELECT email, username, password_hash, role, bio, image FROM account \
                 WHERE email = $1"
            }
            Self::UpdateAccount => {
                "UPDATE account SET password_hash = $1, bio = $2, image = $3 WHERE email = $4"
            }
            Self::Begin => "BEGIN",
            Self::BeginImmediate => "BEGIN IMMEDIATE",
            Self::Commit => "COMMIT",
            Self::Rollback => "ROLLBACK",
        }
    }

    /// Whether its time is time spent on getting a lock: these statements do nothing else.
    pub(crate) fn takes_lock(self) -> bool {
        matches!(self, Self::LockOrder | Self::BeginImmediate)
    }
}

/// The bound of every per-statement counter: texts are never made at run time.
pub(crate) const STATEMENT_TEXTS_MAX: usize = 26;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_statement_has_its_own_place_and_text() {
        for (place, statement) in Statement::ALL.into_iter().enumerate() {
            assert_eq!(statement as usize, place);
            let same = Statement::ALL.into_iter().filter(|s| s.text() == statement.text());
            assert_eq!(same.count(), 1, "{}", statement.text());
        }
    }

    #[test]
    fn parameters_appear_in_their_order() {
        for statement in Statement::ALL {
            let numbers = statement.text().split('$').skip(1).map(|rest| rest.as_bytes()[0] - b'0');
            assert!(numbers.zip(1..).all(|(number, place)| number == place), "{statement:?}");
        }
    }
}
