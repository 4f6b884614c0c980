"""Paradex's own Python SDK against the simulated Paradex: log-in, SBE book, order and fill on REST and socket."""

import asyncio
import sys
from decimal import Decimal
from importlib.metadata import version

from paradex_py import Paradex
from paradex_py.account.subkey_account import SubkeyAccount
from paradex_py.api.api_client import ParadexApiClient
from paradex_py.common.order import Order, OrderSide, OrderType

import steps as run

STEPS = run.Steps(f"paradex_py {version('paradex_py')}")


async def until(condition, seconds=10):
    """Waits for a condition; false when the time is over."""
    for _ in range(seconds * 20):
        if condition():
            return True
        await asyncio.sleep(0.05)
    return False


def limit_order(client_id, side, price, size="0.001", reduce_only=False):
    return Order(
        market=run.MARKET,
        order_type=OrderType.Limit,
        order_side=side,
        size=Decimal(size),
        limit_price=Decimal(price),
        client_id=client_id,
        instruction="IOC",
        reduce_only=reduce_only,
        recv_window=5_000,
    )


def crossing_price(client, side):
    """Half a percent through the touch, so that an IOC order meets the book wherever it has moved to."""
    bbo = client.api_client.fetch_bbo(run.MARKET)
    if side == OrderSide.Buy:
        return round(Decimal(bbo["ask"]) * Decimal("1.005"), 1)
    return round(Decimal(bbo["bid"]) * Decimal("0.995"), 1)


def check_public(client):
    config = client.config
    STEPS.check("GET /system/config", config.starknet_chain_id.startswith("PRIVATE_SN"), config.starknet_chain_id)
    markets = client.api_client.fetch_markets()["results"]
    STEPS.check("GET /markets", any(m["symbol"] == run.MARKET for m in markets), f"{len(markets)} markets")
    summary = client.api_client.fetch_markets_summary({"market": run.MARKET})["results"][0]
    STEPS.check("GET /markets/summary", Decimal(summary["mark_price"]) > 0, f"mark {summary['mark_price']}")
    book = client.api_client.fetch_orderbook(run.MARKET)
    STEPS.check("GET /orderbook", len(book["bids"]) == 20, f"{len(book['bids'])} bids")


def check_account(client):
    token = client.account.jwt_token
    STEPS.check("POST /auth/{key}", token.count(".") == 2, "JWT with a main key")
    summary = client.api_client.fetch_account_summary()
    STEPS.check("GET /account", Decimal(summary.account_value) > 0, f"value {summary.account_value}")
    info = client.api_client.fetch_account_info()
    STEPS.check("GET /account/info", "taker_rate" in info["fees"], f"taker {info['fees']['taker_rate']}")


def check_subkey(endpoints):
    """The keys of the run's `.env`, as the engine uses them."""
    env = run.env_file(endpoints["env_file"])
    api = ParadexApiClient(env="testnet", api_base_url=endpoints["paradex"]["rest_url"])
    account = SubkeyAccount(
        config=api.fetch_system_config(),
        l2_private_key=env["PARADEX_SUBKEY"],
        l2_address=env["PARADEX_ACCOUNT_ADDRESS"],
    )
    api.init_account(account)
    STEPS.check("POST /auth/{subkey}", account.jwt_token.count(".") == 2, "JWT with a subkey")
    STEPS.check("GET /positions", "results" in api.fetch_positions(), "with the subkey's token")


def check_rest_order(client):
    price = crossing_price(client, OrderSide.Buy)
    response = client.api_client.submit_order(limit_order(run.client_id("rest"), OrderSide.Buy, price))
    STEPS.check("POST /orders", response["status"] == "NEW", f"order {response['id']}")
    return response["id"]


async def check_stream(client):
    books, fills, orders = [], [], []

    async def on_book(_channel, message):
        books.append(message["params"]["data"])

    async def on_fill(_channel, message):
        fills.append(message["params"]["data"])

    async def on_order(_channel, message):
        orders.append(message["params"]["data"])

    socket = client.ws_client
    STEPS.check("WS connect and auth", await socket.connect(), "SBE negotiated by the SDK")
    await socket.subscribe_by_name(f"order_book.{run.MARKET}.deltas", on_book)
    await socket.subscribe_by_name(f"fills.{run.MARKET}", on_fill)
    await socket.subscribe_by_name(f"orders.{run.MARKET}", on_order)
    STEPS.check("SBE book", await until(lambda: len(books) >= 10), f"{len(books)} frames decoded")
    check_sequence(books)

    rest_id = check_rest_order(client)
    seen = await until(lambda: any(f["order_id"] == rest_id for f in fills))
    STEPS.check("fills.* of the REST order", seen, f"{len(fills)} fills")

    price = crossing_price(client, OrderSide.Sell)
    client_id = run.client_id("ws")
    result = await socket.submit_order(limit_order(client_id, OrderSide.Sell, price, reduce_only=True))
    order_id = result["order"]["id"]
    STEPS.check("order.create", result["order"]["status"] == "NEW", f"order {order_id}")
    seen = await until(lambda: any(f["order_id"] == order_id for f in fills))
    STEPS.check("fills.* of the socket order", seen, f"at {fills[-1]['price']}")
    closed = await until(lambda: any(o["status"] == "CLOSED" for o in orders))
    STEPS.check("orders.* until CLOSED", closed, f"{len(orders)} order events")
    await socket.close()
    return rest_id, client_id


def check_sequence(books):
    STEPS.check("SBE book: snapshot first", books[0]["pkg_type"] == "SNAPSHOT", f"{len(books[0]['bids'])} bids")
    sequence = [int(book["seq_no"]) for book in books]
    gapless = all(after == before + 1 for before, after in zip(sequence, sequence[1:]))
    STEPS.check("SBE book: seq +1", gapless, f"{sequence[0]} to {sequence[-1]}")


def check_after(client, rest_id, client_id):
    order = client.api_client.fetch_order(rest_id)
    STEPS.check("GET /orders/{id}", order["status"] == "CLOSED", f"avg {order['avg_fill_price']}")
    fills = client.api_client.fetch_fills({"market": run.MARKET})["results"]
    STEPS.check("GET /fills", any(f["order_id"] == rest_id for f in fills), f"fee {fills[0]['fee']}")
    history = client.api_client.fetch_orders_history({"client_id": client_id})["results"]
    STEPS.check("GET /orders-history", len(history) == 1, history[0]["status"])
    positions = client.api_client.fetch_positions()["results"]
    flat = all(Decimal(p["size"]) == 0 for p in positions)
    STEPS.check("GET /positions: flat again", flat, f"{len(positions)} positions")


async def main():
    endpoints = run.endpoints()
    urls = endpoints["paradex"]
    client = Paradex(
        env="testnet",
        l1_address=run.L1_ADDRESS,
        l2_private_key=run.L2_PRIVATE_KEY,
        api_base_url=urls["rest_url"],
        ws_url_override=urls["ws_url"],
        ws_sbe_enabled=True,
        disable_reconnect=True,
    )
    check_public(client)
    check_account(client)
    check_subkey(endpoints)
    rest_id, client_id = await check_stream(client)
    check_after(client, rest_id, client_id)


if __name__ == "__main__":
    asyncio.run(main())
    sys.exit(0)
