// SPDX-License-Identifier: GPL-2.0

// mq from Go.
//
//	example produce TOPIC KEY NAME=VALUE TEXT    one message with a key and a header
//	example follow TOPIC                         what is written from now on
//	example replay TOPIC                         the last minute
//	example ship TOPIC HOST PORT                 all of it, as it comes, over TCP
package main

import (
	"io"
	"log"
	"net"
	"os"
	"syscall"
)

// os.Open would make the file non-blocking: fine to read it, but io.Copy's
// sendfile would then wait for the socket where it has to wait for the topic.
func copyTopic(to io.Writer, topic string) error {
	fd, err := syscall.Open("/dev/mq/"+topic, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: topic, Err: err}
	}
	_, err = io.Copy(to, os.NewFile(uintptr(fd), topic))
	return err
}

func ship(topic, host, port string) error {
	to, err := net.Dial("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return err
	}
	return copyTopic(to, topic)
}

func main() {
	args := append(os.Args[1:], "", "")
	var err error
	switch topic := args[1]; {
	case len(os.Args) == 6 && args[0] == "produce":
		err = produce(topic, args[2], args[3], args[4])
	case len(os.Args) == 3 && args[0] == "follow":
		err = copyTopic(os.Stdout, topic+"+from=newest")
	case len(os.Args) == 3 && args[0] == "replay":
		err = copyTopic(os.Stdout, topic+"+since=1m+until=end")
	case len(os.Args) == 5 && args[0] == "ship":
		err = ship(topic, args[2], args[3])
	default:
		log.Print("usage: produce TOPIC KEY NAME=VALUE TEXT | follow|replay TOPIC | ship TOPIC HOST PORT")
		os.Exit(2)
	}
	if err != nil {
		log.Fatal(err)
	}
}
