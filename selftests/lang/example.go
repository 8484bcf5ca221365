// SPDX-License-Identifier: GPL-2.0
// mq from Go: produce TOPIC KEY NAME=VALUE TEXT | follow|replay TOPIC | ship TOPIC HOST PORT
package main

import (
	"encoding/binary"
	"io"
	"log"
	"net"
	"os"
	"strings"
	"syscall"
)

func u32(values ...int) (s string) { // in the machine's byte order
	for _, value := range values {
		s += string(binary.LittleEndian.AppendUint32(nil, uint32(value)))
	}
	return s
}

func attr(kind int, data string) string {
	return u32(kind<<16|4+len(data)) + data + string(make([]byte, -len(data)&3))
}

func produce(topic, key, header, text string) error { // a batch of one record: see mq/mq.h
	name, value, _ := strings.Cut(header, "=")
	attrs := attr(1, key) + attr(2, attr(1, name)+attr(2, value))
	n, m, pad := len(text)+1, len(attrs), string(make([]byte, -len(attrs)&7))
	head := u32(64, 16, 1, -1, 0, 0, 0, 0, 0, 0, 16, 0, m, 0, n, 0) + u32(n, m, 0, 0)
	return os.WriteFile("/dev/mq/"+topic+"+format=record", []byte(head+attrs+pad+text+"\n"), 0)
}

// os.Open would make the file non-blocking, and sendfile would then wait for the socket.
func copyTopic(to io.Writer, topic string) error {
	fd, err := syscall.Open("/dev/mq/"+topic, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err == nil {
		_, err = io.Copy(to, os.NewFile(uintptr(fd), topic))
	}
	return err
}

func main() {
	options := map[string]string{"follow": "+from=newest", "replay": "+since=1m+until=end"}
	args, err := os.Args, error(syscall.EINVAL)
	switch {
	case len(args) == 6 && args[1] == "produce":
		err = produce(args[2], args[3], args[4], args[5])
	case len(args) == 5 && args[1] == "ship":
		var to net.Conn
		if to, err = net.Dial("tcp", args[3]+":"+args[4]); err == nil {
			err = copyTopic(to, args[2])
		}
	case len(args) == 3:
		err = copyTopic(os.Stdout, args[2]+options[args[1]])
	}
	if err != nil {
		log.Fatal(err)
	}
}
