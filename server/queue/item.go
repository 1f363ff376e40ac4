package queue

import (
	"time"

	"google.golang.org/protobuf/proto"

	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/address"
	"quicprochat/server/storage"
)

// open turns a stored item into the one that goes to the device. One that does
// not open is lost and is reported as such; ok is false then.
func open(sealer *address.Sealer, queue storage.QueueID, stored storage.Item) (item *qpcv1.QueueItem, ok bool) {
	if stored.Overflow {
		return lost(stored), true
	}
	plaintext, err := sealer.OpenItem(queue, stored.Seq, stored.Sealed)
	if err != nil {
		return lost(stored), false
	}
	item = &qpcv1.QueueItem{}
	if err := proto.Unmarshal(plaintext, item); err != nil {
		return lost(stored), false
	}
	item.Seq = stored.Seq
	return item, true
}

func lost(stored storage.Item) *qpcv1.QueueItem {
	return &qpcv1.QueueItem{
		Seq:        stored.Seq,
		ReceivedAt: Millis(stored.ReceivedAt),
		Body:       &qpcv1.QueueItem_Overflow{Overflow: &qpcv1.Overflow{}},
	}
}

// Millis gives a time as the protocol counts it, in milliseconds since 1970.
func Millis(t time.Time) uint64 { return uint64(max(t.UnixMilli(), 0)) }
