"""ccxt against the simulated Paradex: log-in from an L1 key, SBE book and private streams, order and fill."""

import asyncio
import os
import ssl
import sys

import ccxt.pro as ccxt

import steps as run

STEPS = run.Steps(f"ccxt {ccxt.__version__}")
SYMBOL = "BTC/USD:USDC"


def exchange_of(urls):
    """ccxt with its URLs on the simulator. It asks for SBE schema version 3 by default: left as it is."""
    exchange = ccxt.paradex(
        {
            "walletAddress": run.L1_ADDRESS,
            "privateKey": run.L1_PRIVATE_KEY,
            "enableRateLimit": False,
            "cafile": os.environ["SSL_CERT_FILE"],
        }
    )
    exchange.urls["api"]["v1"] = urls["rest_url"]
    exchange.urls["api"]["ws"] = urls["ws_url"]
    exchange.ssl_context = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
    return exchange


async def check_public(exchange):
    markets = await exchange.load_markets()
    STEPS.check("load_markets", SYMBOL in markets, f"{len(markets)} markets")
    ticker = await exchange.fetch_ticker(SYMBOL)
    STEPS.check("fetch_ticker", ticker["bid"] < ticker["ask"], f"{ticker['bid']} / {ticker['ask']}")
    book = await exchange.fetch_order_book(SYMBOL, 20)
    STEPS.check("fetch_order_book", len(book["bids"]) > 0, f"{len(book['bids'])} bids")


async def check_account(exchange):
    token = await exchange.authenticate_rest()
    STEPS.check("authenticate_rest", token.count(".") == 2, "L1 key to L2 account to JWT")
    balance = await exchange.fetch_balance()
    STEPS.check("fetch_balance", balance["USDC"]["total"] > 0, f"{balance['USDC']['total']} USDC")


async def check_book_stream(exchange):
    for _ in range(5):
        book = await asyncio.wait_for(exchange.watch_order_book(SYMBOL), 10)
    sane = book["bids"][0][0] < book["asks"][0][0]
    STEPS.check("watch_order_book (SBE)", sane, f"{len(book['bids'])} x {len(book['asks'])} levels")


async def check_order(exchange, side, price, reduce_only):
    """An IOC order through the touch, and its fill on the private stream."""
    fills = asyncio.ensure_future(exchange.watch_my_trades(SYMBOL))
    orders = asyncio.ensure_future(exchange.watch_orders(SYMBOL))
    await asyncio.sleep(0.5)
    params = {"timeInForce": "IOC", "reduceOnly": reduce_only, "clientOrderId": run.client_id(side)}
    order = await exchange.create_order(SYMBOL, "limit", side, 0.001, price, params)
    STEPS.check(f"create_order {side}", order["id"] is not None, f"order {order['id']}")
    trades = await asyncio.wait_for(fills, 10)
    mine = [trade for trade in trades if trade["order"] == order["id"]]
    STEPS.check(f"watch_my_trades {side}", len(mine) > 0, f"at {mine[-1]['price']}" if mine else f"{trades}")
    seen = await asyncio.wait_for(orders, 10)
    STEPS.check(f"watch_orders {side}", len(seen) > 0, seen[-1]["status"])
    return order["id"]


async def check_after(exchange, order_id):
    order = await exchange.fetch_order(order_id, SYMBOL)
    STEPS.check("fetch_order", order["status"] == "closed", f"filled {order['filled']} at {order['average']}")
    trades = await exchange.fetch_my_trades(SYMBOL)
    STEPS.check("fetch_my_trades", any(t["order"] == order_id for t in trades), f"{len(trades)} trades")
    positions = await exchange.fetch_positions([SYMBOL])
    flat = all(not position["contracts"] for position in positions)
    STEPS.check("fetch_positions: flat again", flat, f"{len(positions)} positions")


async def main():
    exchange = exchange_of(run.endpoints()["paradex"])
    try:
        await check_public(exchange)
        await check_account(exchange)
        await check_book_stream(exchange)
        ticker = await exchange.fetch_ticker(SYMBOL)
        await check_order(exchange, "buy", ticker["ask"] * 1.005, False)
        ticker = await exchange.fetch_ticker(SYMBOL)
        order_id = await check_order(exchange, "sell", ticker["bid"] * 0.995, True)
        await check_after(exchange, order_id)
    finally:
        await exchange.close()


if __name__ == "__main__":
    asyncio.run(main())
    sys.exit(0)
