//! Plan files of the tests, as a person writes them.

/// Looks, makes an index, and looks again.
pub(crate) const ONE_INDEX: &str = r"
deadelus: 1
title: One index
target: shop
approval: none
success: [{ criterion: The index is there, checked_by: see }]
constraints: []
prerequisites: [{ prerequisite: The schema can be read, checked_by: look }]
tasks:
  look:
    does: db.inspect
    title: Look
  index:
    does: db.create_index
    title: Make it
    needs: [look]
    inputs: { table: order_line, columns: [order_id], name: line_by_order }
  see:
    does: db.inspect
    title: Look again
    needs: [index]
";

/// Several changes of one database, one of them a change back: enough places to be killed at.
/// What is left of it is [`LEFT_OF_COMINGS_AND_GOINGS`].
pub(crate) fn comings_and_goings(target: &str) -> String {
    format!(
        r"
deadelus: 1
title: Comings and goings
target: {target}
approval: none
tasks:
  look:
    does: db.inspect
    title: Look
  by-order:
    does: db.create_index
    title: One
    needs: [look]
    inputs: {{ table: order_line, columns: [order_id], name: line_by_order }}
  by-product:
    does: db.create_index
    title: Another
    needs: [look]
    inputs: {{ table: order_line, columns: [product_id], name: line_by_product }}
  away:
    does: db.drop_index
    title: Not this one
    needs: [by-order, by-product]
    inputs: {{ index: line_by_order }}
  by-customer:
    does: db.create_index
    title: A third
    needs: [away]
    inputs: {{ table: orders, columns: [customer], name: orders_by_customer }}
  see:
    does: db.inspect
    title: Look again
    needs: [by-customer]
"
    )
}

/// The indexes that [`comings_and_goings`] leaves.
pub(crate) const LEFT_OF_COMINGS_AND_GOINGS: [&str; 2] = ["line_by_product", "orders_by_customer"];
