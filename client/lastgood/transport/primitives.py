"""What the layer above needs of asyncio. The sync twin has its own."""

import asyncio

AsyncLock = asyncio.Lock
pause = asyncio.sleep
