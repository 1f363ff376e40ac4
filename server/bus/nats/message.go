package nats

import (
	"encoding/binary"
	"errors"

	"quicprochat/server/session"
	"quicprochat/server/storage"
)

// A message is a list of records, of a byte that says what it is and its
// contents, and zeros behind them.
const (
	recordPadding = 0
	recordWake    = 1 // queue id, seq
	recordEnding  = 2 // an encoded session.Ending
)

const (
	wakeSize   = 1 + len(storage.QueueID{}) + 8
	endingSize = 1 + session.EndingSize
	// maxRecords bounds a message, in bytes of records.
	maxRecords = 1<<15 - overhead
	// minMessage is the size of the smallest message. Larger ones have twice
	// the size of the next smaller ones.
	minMessage = 256
)

var errMessage = errors.New("bus: not a message of another node")

// batch is what waits to be told.
type batch struct {
	records []byte
	count   int
	lost    bool // there was more
}

func (b *batch) room() bool {
	if b.count >= maxPending {
		b.lost = true
		return false
	}
	b.count++
	return true
}

func (b *batch) wake(queue storage.QueueID, seq uint64) {
	if b.room() {
		b.records = append(b.records, recordWake)
		b.records = append(b.records, queue[:]...)
		b.records = binary.BigEndian.AppendUint64(b.records, seq)
	}
}

func (b *batch) end(e session.Ending) {
	if b.room() {
		b.records = append(b.records, recordEnding)
		b.records = append(b.records, e.Marshal()...)
	}
}

// cut takes as many whole records from the front as fit into a message.
func cut(records []byte) (first, rest []byte) {
	n := 0
	for n < len(records) {
		size := recordSize(records[n])
		if n+size > maxRecords {
			break
		}
		n += size
	}
	return records[:n], records[n:]
}

// recordSize is that of a whole record, 0 for padding and what is none.
func recordSize(kind byte) int {
	switch kind {
	case recordWake:
		return wakeSize
	case recordEnding:
		return endingSize
	}
	return 0
}

// parse calls wake and end for each record, or neither where the message has
// anything wrong with it.
func parse(records []byte, wake func(storage.QueueID, uint64), end func(session.Ending)) error {
	if err := walk(records, func(storage.QueueID, uint64) {}, func(session.Ending) {}); err != nil {
		return err
	}
	return walk(records, wake, end)
}

func walk(records []byte, wake func(storage.QueueID, uint64), end func(session.Ending)) error {
	for len(records) > 0 {
		size := recordSize(records[0])
		if size == 0 {
			break
		}
		if len(records) < size {
			return errMessage
		}
		body := records[1:size]
		switch records[0] {
		case recordWake:
			wake(storage.QueueID(body[:16]), binary.BigEndian.Uint64(body[16:]))
		case recordEnding:
			e, err := session.ParseEnding(body)
			if err != nil {
				return errMessage
			}
			end(e)
		}
		records = records[size:]
	}
	for _, zero := range records {
		if zero != recordPadding {
			return errMessage
		}
	}
	return nil
}
