//! Makes a shop in an empty database: the same rows for the same seed, in either database.
//! It never touches a shop that is already there, unless told to replace it.

mod postgres;
mod sqlite;

use fastrand::Rng;

use crate::config::Database;

/// Products in every shop.
pub const PRODUCTS: u64 = 1_000;
/// Lines of each seeded order; only the last one may have fewer.
pub const LINES_PER_ORDER: u64 = 5;

/// 2024-01-01, so that a seeded shop does not depend on the day it was made.
const FIRST_ORDER_UNIX_S: i64 = 1_704_067_200;
const SECONDS_BETWEEN_ORDERS: i64 = 60;

/// What to make.
#[derive(Debug, Clone, Copy)]
pub struct Seed {
    /// Rows of `order_line`.
    pub order_lines: u64,
    /// Another number gives other names, prices and quantities.
    pub seed: u64,
    /// Whether a shop that is there is dropped first.
    pub replace: bool,
}

/// Why no shop was made.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// There is one already.
    #[error("there is a shop in this database already; --replace drops it, with its orders")]
    Exists,
    /// SQLite refused.
    #[error("SQLite refused")]
    Sqlite(#[from] rusqlite::Error),
    /// PostgreSQL refused, or is not there.
    #[error("PostgreSQL refused")]
    Postgres(#[from] tokio_postgres::Error),
    /// The thread that filled the file died.
    #[error("the seeding was not finished")]
    Aborted(#[from] tokio::task::JoinError),
}

/// Makes the tables, fills them in one transaction, and gathers the planner's statistics.
///
/// # Errors
/// When a shop is there and is not to be replaced, or the database refuses; then nothing changed.
pub async fn seed(database: &Database, seed: Seed) -> Result<(), SeedError> {
    match database {
        Database::Sqlite(path) => {
            let path = path.clone();
            tokio::task::spawn_blocking(move || sqlite::seed(&path, seed)).await?
        }
        Database::Postgres(server) => postgres::seed(server, seed).await,
    }
}

/// The tables, in the order they are dropped.
const TABLES: [&str; 3] = ["order_line", "orders", "product"];

struct Product {
    id: i64,
    name: String,
    price_cents: i64,
}

struct Order {
    id: i64,
    customer: String,
    placed_at: i64,
}

struct Line {
    id: i64,
    order_id: i64,
    product_id: i64,
    quantity: i64,
    unit_price_cents: i64,
}

/// The rows of a shop, as iterators: a large one never has to fit in memory.
struct Rows {
    products: Vec<Product>,
    seed: Seed,
}

impl Rows {
    fn new(seed: Seed) -> Self {
        let mut rng = Rng::with_seed(seed.seed);
        let product =
            |id| Product { id, name: name(&mut rng, id), price_cents: rng.i64(99..20_000) };
        Self { products: (1..=PRODUCTS as i64).map(product).collect(), seed }
    }

    fn orders(&self) -> impl Iterator<Item = Order> {
        let mut rng = Rng::with_seed(self.seed.seed ^ 1);
        let last = self.seed.order_lines.div_ceil(LINES_PER_ORDER) as i64;
        (1..=last).map(move |id| Order {
            id,
            customer: format!("customer-{}@example.test", rng.u32(1..10_000)),
            placed_at: FIRST_ORDER_UNIX_S + id * SECONDS_BETWEEN_ORDERS,
        })
    }

    fn lines(&self) -> impl Iterator<Item = Line> {
        let mut rng = Rng::with_seed(self.seed.seed ^ 2);
        (1..=self.seed.order_lines as i64).map(move |id| {
            let product = &self.products[rng.usize(..self.products.len())];
            Line {
                id,
                order_id: (id - 1) / LINES_PER_ORDER as i64 + 1,
                product_id: product.id,
                quantity: rng.i64(1..6),
                unit_price_cents: product.price_cents,
            }
        })
    }
}

fn name(rng: &mut Rng, id: i64) -> String {
    const KINDS: [&str; 6] = ["copper", "oak", "linen", "glass", "slate", "wool"];
    const THINGS: [&str; 6] = ["kettle", "bowl", "lamp", "blanket", "tray", "stool"];
    format!("{} {} no. {id}", KINDS[rng.usize(..6)], THINGS[rng.usize(..6)])
}
