"""The same job in Python: ccxt.pro on Paradex, and a small client with eth-account for Vest, in one event loop.

Trades until its standard input ends, then prints what it measured: microseconds from a message to each order being
handed to its client, as far as Python can tell (ccxt shows when its call begins, not when it writes).
"""

import asyncio
import json
import ssl
import sys
import time

import aiohttp
import ccxt.pro as ccxt
import websockets
from eth_abi import encode
from eth_account import Account
from eth_account.messages import encode_defunct
from eth_utils import keccak

# A published throw-away key, the L1 key of the simulated account. Never fund it.
L1_ADDRESS = "0xD0B64b8562331595bDf948bc60Fb92a2E5C009A6"
L1_PRIVATE_KEY = "0xba987cd45a4b93159f701b2e97bfd79e5cb93fa65030446aaf53831b32f8640d"
SYMBOL = "BTC/USD:USDC"
VEST_SYMBOL = "BTC-PERP"
SIZE, ENTER, EXIT, SLACK = 0.002, 0.003, 0.0002, 0.002
ORDER_TYPES = ["uint256", "uint256", "string", "string", "bool", "string", "string", "bool"]


def paradex_of(run):
    exchange = ccxt.paradex(
        {
            "walletAddress": L1_ADDRESS,
            "privateKey": L1_PRIVATE_KEY,
            "enableRateLimit": False,
            "cafile": run["ca_file"],
        }
    )
    exchange.urls["api"]["v1"] = run["paradex"]["rest_url"]
    exchange.urls["api"]["ws"] = run["paradex"]["ws_url"]
    exchange.ssl_context = ssl.create_default_context(cafile=run["ca_file"])
    return exchange


class Vest:
    """Depth stream and signed orders."""

    def __init__(self, run, tls):
        keys = run["keys"]
        self.rest, self.tls, self.group = run["vest"]["rest_url"], tls, keys["VEST_ACCOUNT_GROUP"]
        self.stream = f"{run['vest']['ws_url']}?version=1.0&xwebsocketserver=restserver{self.group}"
        self.account = Account.from_key(keys["VEST_SIGNING_KEY"])
        headers = {"X-API-KEY": keys["VEST_API_KEY"], "xrestservermm": f"restserver{self.group}"}
        self.session = aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(ssl=tls))
        self.nonce = int(time.time() * 1000)

    async def tops(self):
        async with websockets.connect(self.stream, ssl=self.tls) as socket:
            await socket.send(json.dumps({"method": "SUBSCRIBE", "params": [f"{VEST_SYMBOL}@depth"], "id": 1}))
            async for text in socket:
                at = time.perf_counter()
                data = json.loads(text).get("data") or {} if text.startswith("{") else {}
                if data.get("bids") and data.get("asks"):
                    yield float(data["bids"][0][0]), float(data["asks"][0][0]), at

    async def order(self, buy, limit, reduce_only):
        self.nonce += 1
        signed_at, size, price = int(time.time() * 1000), f"{SIZE:.4f}", f"{limit:.2f}"
        fields = [signed_at, self.nonce, "MARKET", VEST_SYMBOL, buy, size, price, reduce_only]
        message = encode_defunct(primitive=keccak(encode(ORDER_TYPES, fields)))
        names = ["time", "nonce", "orderType", "symbol", "isBuy", "size", "limitPrice", "reduceOnly"]
        body = {
            "order": dict(zip(names, fields)),
            "recvWindow": 2000,
            "signature": "0x" + self.account.sign_message(message).signature.hex().removeprefix("0x"),
        }
        sent = time.perf_counter()
        async with self.session.post(f"{self.rest}/orders", json=body) as reply:
            assert reply.status == 200, await reply.text()
        return sent


class Strategy:
    def __init__(self, vest, paradex):
        self.vest, self.paradex = vest, paradex
        self.tops, self.held, self.busy, self.measured = [None, None], False, False, []

    def legs(self):
        """Buy or sell, touch and reduce-only of both orders, when the gap asks for them."""
        if None in self.tops or self.busy:
            return None
        (vest_bid, vest_ask), (bid, ask) = self.tops
        mid = (vest_bid + vest_ask + bid + ask) / 4
        if not self.held and (vest_bid - ask) / mid > ENTER:
            return (False, vest_bid * (1 - SLACK), False), ("buy", ask * (1 + SLACK), False)
        if self.held and (vest_ask - bid) / mid < EXIT:
            return (True, vest_ask * (1 + SLACK), True), ("sell", bid * (1 - SLACK), True)
        return None

    async def see(self, venue, top, at):
        self.tops[venue] = top
        legs = self.legs()
        if legs is None:
            return
        self.busy = True
        vest, paradex = legs
        sent = await asyncio.gather(self.vest.order(*vest), self.order(*paradex))
        self.measured.append(sorted((moment - at) * 1e6 for moment in sent))
        self.held, self.busy = not self.held, False

    async def order(self, side, limit, reduce_only):
        sent = time.perf_counter()
        params = {"timeInForce": "IOC", "reduceOnly": reduce_only}
        await self.paradex.create_order(SYMBOL, "limit", side, SIZE, limit, params)
        return sent

    async def follow_vest(self):
        async for bid, ask, at in self.vest.tops():
            asyncio.ensure_future(self.see(0, (bid, ask), at))

    async def follow_paradex(self):
        while True:
            book = await self.paradex.watch_order_book(SYMBOL)
            at = time.perf_counter()
            if book["bids"] and book["asks"]:
                asyncio.ensure_future(self.see(1, (book["bids"][0][0], book["asks"][0][0]), at))


def percentiles(samples):
    ordered = sorted(samples)
    at = lambda percent: ordered[min(len(ordered) * percent // 100, len(ordered) - 1)] if ordered else 0
    return {"count": len(ordered), "p50": at(50), "p99": at(99), "max": at(100)}


async def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        run = json.load(file)
    vest = Vest(run, ssl.create_default_context(cafile=run["ca_file"]))
    paradex = paradex_of(run)
    await paradex.load_markets()
    await paradex.authenticate_rest()
    strategy = Strategy(vest, paradex)
    follow = [asyncio.ensure_future(task) for task in (strategy.follow_vest(), strategy.follow_paradex())]
    end = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await asyncio.wait([end, *follow], return_when=asyncio.FIRST_COMPLETED)
    for task in follow:
        if task.done():
            task.result()  # A feed never ends by itself: what broke it is told.
        task.cancel()
    legs = zip(*strategy.measured) if strategy.measured else ([], [])
    print(json.dumps(dict(zip(("first", "second"), map(percentiles, legs)))), flush=True)
    await asyncio.gather(vest.session.close(), paradex.close(), return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main())
