package mls

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
)

// changeLog collects what TakeChanges gives: the last value of each record
// written, nil for those deleted.
type changeLog map[string][]byte

func (l changeLog) put(key string, value []byte) {
	clear(l[key])
	l[key] = value
}

func (l changeLog) delete(key string) {
	clear(l[key])
	l[key] = nil
}

// take empties the log, in the order of keys.
func (l changeLog) take() []Change {
	changes := make([]Change, 0, len(l))
	for k, v := range l {
		changes = append(changes, Change{Key: []byte(k), Value: v})
	}
	clear(l)
	slices.SortFunc(changes, func(a, b Change) int { return bytes.Compare(a.Key, b.Key) })
	return changes
}

// The records of a group. Numbers in keys are big-endian, so that records sort
// as what they number.
const (
	recordGroup      = "group"   // what does not change, and whether the member has been removed
	recordEpoch      = "epoch"   // context and secrets of the present epoch
	recordPending    = "pending" // the own staged commit
	recordReInit     = "reinit"  // what takes the group's place, once it is closed
	prefixNode       = "node/"   // + node index: of the ratchet tree, those not blank
	prefixKey        = "key/"    // + node index: own private keys
	prefixProposal   = "prop/"   // + reference: proposals of the present epoch
	prefixSecret     = "s/"      // + epoch, node index: of the secret tree
	prefixRatchet    = "r/"      // + epoch, twice the leaf index plus kind
	prefixPast       = "past/"   // + epoch
	prefixPastMember = "member/" // + epoch, leaf index: leaves that changed when the epoch ended
)

func recordKey32(prefix string, n uint32) string {
	return string(binary.BigEndian.AppendUint32([]byte(prefix), n))
}

func recordKeyEpoch(prefix string, epoch uint64, rest ...uint32) string {
	b := binary.BigEndian.AppendUint64([]byte(prefix), epoch)
	for _, n := range rest {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	return string(b)
}

// A message's first records are many, therefore their keys are short.
func recordOfSecret(epoch uint64, x nodeIndex) string {
	return recordKeyEpoch(prefixSecret, epoch, uint32(x))
}

func recordOfRatchet(epoch uint64, id ratchetID) string {
	return recordKeyEpoch(prefixRatchet, epoch, 2*uint32(id.leaf)+uint32(id.kind))
}

const (
	secretKeyLen  = len(prefixSecret) + 8 + 4
	ratchetKeyLen = len(prefixRatchet) + 8 + 4

	// maxMessageRecords bounds what a message makes its sender or receiver
	// write, keys and values, while none is skipped.
	maxMessageRecords = 1024
)

// maxDescent is how far above the leaves a tree secret may be, so that what
// opening a leaf's ratchets leaves behind stays within maxMessageRecords: two
// ratchets, a secret deleted and one for each level.
func maxDescent(s *suite) int {
	ratchets := 2 * (ratchetKeyLen + 4 + varintLen(s.nh) + s.nh)
	return (maxMessageRecords - ratchets - secretKeyLen) / (secretKeyLen + s.nh)
}

// parseRecordKey reads the numbers after the prefix: an epoch where epoch is
// set, and then n others.
func parseRecordKey(key, prefix string, epoch bool, n int) (e uint64, rest []uint32, ok bool) {
	tail, ok := strings.CutPrefix(key, prefix)
	r := reader{b: []byte(tail)}
	if epoch {
		e = r.u64()
	}
	for range n {
		rest = append(rest, r.u32())
	}
	return e, rest, ok && r.err == nil && len(r.b) == 0
}
