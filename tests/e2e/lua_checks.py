"""Small Lua programs with what they print, for an interpreter that a build has just made."""

from typing import NamedTuple


class Check(NamedTuple):
    name: str
    program: str
    prints: str


CHECKS = (
    Check(
        "arithmetic",
        "print(7 // 2, 7 % -3, 2^10, 1 << 62, 0x10p1, 10 / 2)",
        "3\t-2\t1024.0\t4611686018427387904\t32.0\t5.0",
    ),
    Check(
        "strings",
        """
        print(('hello world'):gsub('o', '0'))
        print(#'\\u{20AC}', ('x'):rep(3, ','), ('%5.2f|%q'):format(3.14159, 'a\\nb'))
        """,
        'hell0 w0rld\t2\n3\tx,x,x\t 3.14|"a\\\nb"',
    ),
    Check(
        "closures",
        """
        local function counter()
          local n = 0
          return function() n = n + 1; return n end
        end
        local a, b = counter(), counter()
        a()
        print(a(), b())
        """,
        "2\t1",
    ),
    Check(
        "coroutines",
        """
        local function squares() for i = 1, 3 do coroutine.yield(i * i) end end
        local found = {}
        for v in coroutine.wrap(squares) do found[#found + 1] = v end
        print(table.concat(found, ' '))
        """,
        "1 4 9",
    ),
    Check(
        "metatables",
        """
        local v = setmetatable({}, {
          __index = function(_, k) return k .. '!' end,
          __call = function(_, x) return x + 1 end,
        })
        print(v.hi, v(41))
        """,
        "hi!\t42",
    ),
    Check(
        "errors",
        """
        print(pcall(error, 'plain'))
        print(select(2, pcall(function() local t; return t.x end)))
        """,
        "false\tplain\nprogram.lua:3: attempt to index a nil value (local 't')",
    ),
    Check(
        "collector",
        """
        local weak = setmetatable({}, {__mode = 'k'})
        for _ = 1, 1e5 do weak[{}] = true end
        collectgarbage()
        print(next(weak))
        """,
        "nil",
    ),
    Check(
        "sorting",
        """
        local t = {}
        for i = 1, 2000 do t[i] = i * 7919 % 2003 end
        table.sort(t)
        for i = 2, #t do assert(t[i - 1] < t[i]) end
        print(#t, t[1], t[2000])
        """,
        "2000\t1\t2002",
    ),
)
