"""What the official package sees of the provider. Every assertion is about the package's objects."""

import http.server
import queue
import sys
import threading

import stripe

stripe.api_base = sys.argv[1]
stripe.api_key = "sk_test_provider"
stripe.max_network_retries = 2

received = queue.Queue()


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        received.put((body, self.headers["stripe-signature"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


def refused(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"not refused with {kind}")


receiver = http.server.HTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=receiver.serve_forever, daemon=True).start()
endpoint = stripe.WebhookEndpoint.create(
    url=f"http://127.0.0.1:{receiver.server_port}/hook", enabled_events=["product.created"]
)

# The catalogue.
product = stripe.Product.create(id="pro", name="Pro", metadata={"a": "1"})
body, header = received.get(timeout=30)
event = stripe.Webhook.construct_event(body, header, endpoint.secret)
assert event.type == "product.created" and event.data.object.id == "pro", event
refused(
    stripe.SignatureVerificationError,
    lambda: stripe.Webhook.construct_event(body, header, "whsec_another"),
)
assert "secret" not in stripe.WebhookEndpoint.retrieve(endpoint.id)

terms = dict(product="pro", currency="eur", recurring={"interval": "month"})
first = stripe.Price.create(unit_amount=1000, lookup_key="pro_monthly", **terms)
taken = refused(
    stripe.InvalidRequestError,
    lambda: stripe.Price.create(unit_amount=1200, lookup_key="pro_monthly", **terms),
)
assert taken.param == "lookup_key"
second = stripe.Price.create(
    unit_amount=1200, lookup_key="pro_monthly", transfer_lookup_key=True, **terms
)
holders = stripe.Price.list(lookup_keys=["pro_monthly"]).data
assert [price.id for price in holders] == [second.id]
assert stripe.Price.retrieve(first.id).lookup_key is None
refused(stripe.InvalidRequestError, lambda: stripe.Price.modify(first.id, unit_amount=1))
refused(stripe.InvalidRequestError, lambda: stripe.Product.delete("pro"))
assert stripe.Price.modify(first.id, active=False).active is False
for number in range(12):
    stripe.Price.create(unit_amount=number, product="pro", currency="jpy")
pages = stripe.Price.list(currency="jpy", limit=5).auto_paging_iter()
assert [price.unit_amount for price in pages] == list(range(11, -1, -1))

# Keys of idempotency.
once = dict(name="Once", idempotency_key="once")
assert stripe.Product.create(**once).id == stripe.Product.create(**once).id
refused(
    stripe.IdempotencyError,
    lambda: stripe.Product.create(name="Twice", idempotency_key="once"),
)

# Three months on a clock, then none after the end.
clock = stripe.test_helpers.TestClock.create(frozen_time=1706659200)
customer = stripe.Customer.create(email="a@example.com", test_clock=clock.id)
subscription = stripe.Subscription.create(customer=customer.id, items=[{"price": second.id}])
stripe.test_helpers.TestClock.advance(clock.id, frozen_time=1706659200 + 70 * 86400)
invoices = stripe.Invoice.list(subscription=subscription.id).data
assert len(invoices) == 3 and {i.amount_paid for i in invoices} == {1200}, invoices
assert len({i.period_start for i in invoices}) == 3
stripe.Subscription.modify(subscription.id, cancel_at_period_end=True)
stripe.test_helpers.TestClock.advance(clock.id, frozen_time=1706659200 + 700 * 86400)
assert stripe.Subscription.retrieve(subscription.id).status == "canceled"
assert len(stripe.Invoice.list(subscription=subscription.id).data) == 3

# A price of its own, a payment for each invoice, and a clock that takes all of it with it.
clock = stripe.test_helpers.TestClock.create(frozen_time=1706659200, name="gone")
customer = stripe.Customer.create(test_clock=clock.id)
stripe.Product.create(id="gone", name="Gone")
data = dict(product="gone", currency="eur", unit_amount=700, recurring={"interval": "month"})
subscription = stripe.Subscription.create(customer=customer.id, items=[{"price_data": data}])
paid = stripe.Invoice.retrieve(subscription.latest_invoice)
assert stripe.PaymentIntent.retrieve(paid.payment_intent).amount_received == 700
kinds = {e.type for e in stripe.Event.list(limit=100).data if e.data.object.id == paid.id}
assert kinds == {"invoice.created", "invoice.paid"}, kinds
begun = stripe.Event.list(type="customer.subscription.created").data
assert subscription.id in [event.data.object.id for event in begun]
assert paid.lines.data[0].period.end > paid.lines.data[0].period.start
assert stripe.Subscription.cancel(subscription.id).status == "canceled"
assert stripe.Subscription.list(customer=customer.id).data == []
assert len(stripe.Subscription.list(customer=customer.id, status="all").data) == 1
refused(stripe.InvalidRequestError, lambda: stripe.Subscription.cancel(subscription.id))
assert stripe.test_helpers.TestClock.delete(clock.id).deleted
refused(stripe.InvalidRequestError, lambda: stripe.Customer.retrieve(customer.id))
refused(stripe.InvalidRequestError, lambda: stripe.PaymentIntent.retrieve(paid.payment_intent))
assert stripe.Product.delete("gone").deleted

# Money.
intent = stripe.PaymentIntent.create(
    amount=500, currency="eur", payment_method="pm_card_visa", confirm=True
)
assert intent.status == "succeeded" and intent.amount_received == 500
poor = dict(
    amount=500,
    currency="eur",
    payment_method="pm_card_visa_chargeDeclinedInsufficientFunds",
    confirm=True,
    idempotency_key="poor",
)
declined = refused(stripe.CardError, lambda: stripe.PaymentIntent.create(**poor))
assert declined.http_status == 402 and declined.code == "card_declined", declined
assert declined.error.decline_code == "insufficient_funds", declined.error
again = refused(stripe.CardError, lambda: stripe.PaymentIntent.create(**poor))
unpaid = stripe.PaymentIntent.retrieve(again.error.payment_intent.id)
assert unpaid.id == declined.error.payment_intent.id and unpaid.amount_received == 0
assert unpaid.status == "requires_payment_method"
assert unpaid.last_payment_error.decline_code == "insufficient_funds"
assert stripe.PaymentIntent.confirm(unpaid.id, payment_method="pm_card_visa").status == "succeeded"
some = dict(payment_intent=intent.id, amount=200, idempotency_key="some")
refused(stripe.RateLimitError, lambda: stripe.Refund.create(**some))
refund = stripe.Refund.create(**some)
assert refund.amount == 200
refused(
    stripe.InvalidRequestError,
    lambda: stripe.Refund.create(payment_intent=intent.id, amount=301),
)
stripe.api_key = "nothing"
refused(stripe.AuthenticationError, lambda: stripe.Price.list())
