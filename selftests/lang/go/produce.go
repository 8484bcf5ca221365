// SPDX-License-Identifier: GPL-2.0

package main

import (
	"bytes"
	"encoding/binary"
	"os"
	"strings"
)

const (
	attrKey, attrHeader, headerName, headerValue = 1, 2, 1, 2 // these and the formats: mq/mq.h
	anyPartition                                 = 0xffffffff // the key chooses it
)

func pack(values ...any) []byte {
	var b bytes.Buffer
	for _, value := range values {
		binary.Write(&b, binary.LittleEndian, value) // the machine's byte order
	}
	return b.Bytes()
}

func attr(kind uint16, data []byte) []byte {
	return pack(uint16(4+len(data)), kind, data, make([]byte, -len(data)&3))
}

// A message with a key and a header: a batch of one record.
func produce(topic, key, header, text string) error {
	name, value, _ := strings.Cut(header, "=")
	attrs := pack(attr(attrKey, []byte(key)), attr(attrHeader,
		pack(attr(headerName, []byte(name)), attr(headerValue, []byte(value)))))
	payload := []byte(text + "\n")
	batch := pack([]uint32{64, 16, 1, anyPartition, 0, 0}, [16]byte{},
		[]uint64{16, uint64(len(attrs)), uint64(len(payload))})
	record := pack([]uint32{uint32(len(payload)), uint32(len(attrs)), 0, 0})
	return os.WriteFile("/dev/mq/"+topic+"+format=record",
		pack(batch, record, attrs, make([]byte, -len(attrs)&7), payload), 0)
}
