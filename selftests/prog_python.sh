#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Python, with nothing but its standard library.
# NEEDS: python3
# shellcheck disable=SC2154 # mk_topic sets them
# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"

mk_topic m
mk_topic l --framing line
mk_topic e
tmp
cd "$lib_tmp" || exit 1

limit 100 python3 - "$MQ/$m" "$MQ/$l" "$MQ/$e" >tap <<'END'
import array, asyncio, errno, fcntl, logging, os, select, shutil, socket, struct, sys, termios, threading
m, l, e = sys.argv[1:]


def point(name, good):
    print("ok" if good else "not_ok", name, flush=True)


def fails(code, call, *args):
    try:
        call(*args)
    except OSError as error:
        return error.errno == code
    return False


# os: one message a call
w = os.open(m, os.O_WRONLY)
r = os.open(m, os.O_RDONLY)
point("os.write", [os.write(w, b"message %d" % i) for i in range(3)] == [9, 9, 9])
point("os.writev is one message", os.writev(w, [b"mess", b"age", b" 3"]) == 9)
point("os.read gives one message a call", [os.read(r, 100) for _ in range(2)] == [b"message 0", b"message 1"])
point("os.read into a small buffer, then the rest", (os.read(r, 4), os.read(r, 100)) == (b"mess", b"age 2"))
point("os.pread anywhere", os.pread(r, 100, 9) == b"message 1" and os.pread(r, 100, 12) == b"sage 1")
point("os.pread moves nothing", os.read(r, 100) == b"message 3")
point("os.lseek, os.read", os.lseek(r, 9, os.SEEK_SET) == 9 and os.read(r, 100) == b"message 1")
point("os.lseek to the end", os.lseek(r, 0, os.SEEK_END) == 36)
point("os.fstat gives the end position", os.fstat(r).st_size == 36)
point("os.lseek with SEEK_DATA", os.lseek(r, 0, os.SEEK_DATA) == 0)
point("os.pwrite appends, wherever", os.pwrite(w, b"message 4", 0) == 9 and os.pread(r, 100, 36) == b"message 4")
point("os.read of a file opened for writing: EBADF", fails(errno.EBADF, os.read, w, 1))
point("os.write to a file opened for reading: EBADF", fails(errno.EBADF, os.write, r, b"x"))
point("os.ftruncate: EINVAL", fails(errno.EINVAL, os.ftruncate, w, 0))
point("os.fsync of a memory topic: EINVAL", fails(errno.EINVAL, os.fsync, w))

# fcntl, ioctl, select, poll, epoll
fcntl.fcntl(r, fcntl.F_SETFL, os.O_NONBLOCK)
os.lseek(r, 0, os.SEEK_END)
point("O_NONBLOCK: EAGAIN at the end", fails(errno.EAGAIN, os.read, r, 100))
point("select: not readable at the end", select.select([r], [], [], 0)[0] == [])
point("select: writable", select.select([], [w], [], 0)[1] == [w])
unread = array.array("i", [99])
fcntl.ioctl(r, termios.FIONREAD, unread)
point("FIONREAD is 0 at the end", unread[0] == 0)
poll = select.epoll()
poll.register(r, select.EPOLLIN | select.EPOLLET)
os.write(w, b"message 5")
point("select: readable", select.select([r], [], [], 5)[0] == [r])
point("epoll, edge triggered: readable", poll.poll(5) == [(r, select.EPOLLIN)])
point("epoll, edge triggered: told once", poll.poll(0.05) == [])
os.write(w, b"message 6")
point("epoll, edge triggered: told of the next", poll.poll(5) == [(r, select.EPOLLIN)])
fcntl.ioctl(r, termios.FIONREAD, unread)
point("FIONREAD counts what is unread", unread[0] == 18)
point("both are read", [os.read(r, 100), os.read(r, 100)] == [b"message 5", b"message 6"])
late = threading.Timer(0.3, os.write, (w, b"message 7"))
late.start()
point("select waits for a message", select.select([r], [], [], 20)[0] == [r] and os.read(r, 100) == b"message 7")
late.join()

# open(): buffered and text files, opened for reading and writing
with open(m + "+until=end", "rb") as f:
    point("open('rb').read() to the end", f.read() == b"".join(b"message %d" % i for i in range(8)))
with open(m + "+until=end", "rb") as f:
    point("buffered seek and read", f.seek(40) == 40 and f.read(8) == b"age 4mes" and f.tell() == 48)
with open(l, "w") as f:
    for i in range(10000):
        print(i, "a line that is printed", file=f)
with open(l + "+until=end") as f:
    point("10000 printed lines come back", [int(line.split()[0]) for line in f] == list(range(10000)))
with open(l, "a") as f:
    f.write("appended\n")
with open(l, "rb", buffering=0) as f:
    f.seek(-9, os.SEEK_END)
    point("open('a'), and seek from the end", f.read(100) == b"appended\n")
with open(e, "r+b", buffering=0) as f:
    f.write(b"one")
    f.write(b"two")
    point("open('r+b'): a write never moves the reading position", f.read(9) == b"one" and f.read(9) == b"two")
    point("tell()", f.tell() == 6)
handler = logging.FileHandler(l)
logging.getLogger("demo").addHandler(handler)
logging.getLogger("demo").warning("from the logging module")
handler.close()
with open(l, "rb", buffering=0) as f:
    f.seek(-24, os.SEEK_END)
    point("logging.FileHandler", f.read(100) == b"from the logging module\n")
point("a typo in a name: FileNotFoundError", fails(errno.ENOENT, open, m + ".typo", "w") and not os.path.exists(m + ".typo"))

# sendfile: socket.sendfile asks fstat for the size; shutil, os
size = os.stat(l).st_size


def receive(sock, got):
    while True:
        data = sock.recv(65536)
        if not data:
            return
        got.extend(data)


a, b = socket.socketpair()
got = bytearray()
receiver = threading.Thread(target=receive, args=(b, got))
receiver.start()
with open(l + "+until=end", "rb") as f:
    sent = a.sendfile(f)
    everything = f.read() == b""
a.close()
receiver.join()
with open(l + "+until=end", "rb") as f:
    want = f.read()
point("socket.sendfile sends the topic's size", sent == size == len(want))
point("and every byte", bytes(got) == want)
point("and leaves the file at the end", everything)
shutil.copyfile(l + "+until=end", "copied")
point("shutil.copyfile", open("copied", "rb").read() == want)
with open("copied", "rb") as f, open(e, "wb", buffering=0) as to:
    shutil.copyfileobj(f, to)
with open(e + "+until=end", "rb") as f:
    point("shutil.copyfileobj into a topic", f.read() == b"onetwo" + want)


# asyncio
async def follow():
    loop = asyncio.get_running_loop()
    fd = os.open(m + "+from=newest", os.O_RDONLY | os.O_NONBLOCK)
    seen = loop.create_future()
    loop.add_reader(fd, lambda: seen.done() or seen.set_result(os.read(fd, 100)))
    loop.call_later(0.1, os.write, w, b"message 8")
    return await asyncio.wait_for(seen, 20)

point("asyncio.add_reader", asyncio.run(follow()) == b"message 8")

# the record format needs no library
batch = struct.Struct("=6I16s3Q")
record = struct.Struct("=4I")
entry = struct.Struct("=3Qq8I")
names = [b"first", b"", b"third record"]
data = batch.pack(batch.size, record.size, 3, 0xffffffff, 0, 0, bytes(16), 48, 0, 17)
data += b"".join(record.pack(len(name), 0, 0, 0) for name in names) + b"".join(names)
with open(e + "+format=record", "wb", buffering=0) as f:
    point("a batch of records is written", f.write(data) == len(data))
with open(e + "+format=record+until=end", "rb", buffering=0) as f:
    at = None
    last = []
    while True:
        data = f.read(1 << 18)
        if not data:
            break
        head = batch.unpack_from(data)
        part = head[0] + head[7] + (head[8] + 7) // 8 * 8
        for i in range(head[2]):
            one = entry.unpack_from(data, head[0] + i * head[1])
            last.append((one[0], data[part:part + one[4]]))
            part += one[4]
point("a batch of records is read", [body for _, body in last[-3:]] == names)
point("offsets have no gap", [offset for offset, _ in last] == list(range(len(last))))
END
is $? 0 "the program ran to its end"
points=0
while read -r status name; do
	points=$((points + 1))
	case $status in
	ok|not_ok) "$status" "python: $name" ;;
	*) not_ok "python said: $status $name" ;;
	esac
done <tap
is "$points" 43 "it has come to all its points"

finish
