-- A JIT: machine code made at run time and thrown away, protections flipped, tables collected.
local bit = require("bit")
local function sieve(n)
  local composite, count = {}, 0
  for i = 2, n do
    if not composite[i] then
      count = count + 1
      for j = i * i, n, i do composite[j] = true end
    end
  end
  return count
end
print("primes", sieve(200000))
local function mandelbrot(size)
  local inside = 0
  for y = 0, size - 1 do
    for x = 0, size - 1 do
      local cr, ci, zr, zi, n = 3 * x / size - 2, 2 * y / size - 1, 0, 0, 0
      while n < 50 and zr * zr + zi * zi < 4 do
        zr, zi, n = zr * zr - zi * zi + cr, 2 * zr * zi + ci, n + 1
      end
      if n == 50 then inside = inside + 1 end
    end
  end
  return inside
end
print("inside", mandelbrot(120))
local hash = 0
for round = 1, 20 do
  local parts = {}
  for i = 1, 5000 do parts[i] = tostring(i * round) end
  local text = table.concat(parts, ",")
  for i = 1, #text, 7 do hash = bit.bxor(bit.rol(hash, 5), text:byte(i)) end
end
print("hash", bit.tohex(hash))
for version = 1, 60 do
  local f = assert(loadstring("local s = 0 for i = 1, 300 do s = s + i * " .. version .. " end return s"))
  local sum = 0
  for _ = 1, 60 do sum = sum + f() end
  if version % 20 == 0 then print("compiled", version, sum) end
  jit.flush(f)
end
local ffi = require("ffi")
ffi.cdef("int getpid(void); void *mmap(void *, size_t, int, int, int, long); int munmap(void *, size_t);")
local area = ffi.cast("uint32_t *", ffi.C.mmap(nil, 1048576, 3, 34, -1, 0))
for i = 0, 262143 do area[i] = i end
local sum = 0
for i = 0, 262143, 1024 do sum = sum + area[i] end
print("mapped", sum, ffi.C.munmap(area, 1048576))
print("jit", jit.status() and "on" or "off")
local ok, said = pcall(function() local function deep(n) return 1 + deep(n + 1) end return deep(1) end)
print("overflow", ok, said:match("stack overflow"))
collectgarbage()
print("kept", collectgarbage("count") < 4096)
