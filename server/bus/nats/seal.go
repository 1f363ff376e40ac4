package nats

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"
)

// senderID is one run of a node's bus. Random.
type senderID [16]byte

// A message is: sender (16) ‖ counter (8) ‖ sealed { time in seconds (8) ‖
// records ‖ zeros }. Each sender has a key of its own, so that its counter is a
// nonce.
const (
	headerSize = len(senderID{}) + 8
	tagSize    = 16
	overhead   = headerSize + 8 + tagSize
)

// derive gives the key of messages and the subject, which tells servers apart
// that share a NATS and says nothing else.
func derive(shared [32]byte) (key [32]byte, subject string, err error) {
	k, err := hkdf.Key(sha256.New, shared[:], nil, "qpc bus v1 messages", len(key))
	if err != nil {
		return key, "", fmt.Errorf("bus key: %w", err)
	}
	name, err := hkdf.Key(sha256.New, shared[:], nil, "qpc bus v1 subject", 8)
	if err != nil {
		return key, "", fmt.Errorf("bus subject: %w", err)
	}
	return [32]byte(k), "qpc." + hex.EncodeToString(name), nil
}

func aeadOf(key [32]byte, sender senderID) (cipher.AEAD, error) {
	k, err := hkdf.Key(sha256.New, key[:], sender[:], "qpc bus v1 sender", 32)
	if err != nil {
		return nil, fmt.Errorf("bus sender key: %w", err)
	}
	block, err := aes.NewCipher(k)
	if err != nil {
		return nil, fmt.Errorf("bus sender key: %w", err)
	}
	return cipher.NewGCM(block)
}

func nonceOf(counter uint64) []byte {
	nonce := make([]byte, 12)
	binary.BigEndian.PutUint64(nonce[4:], counter)
	return nonce
}

// sealer makes the messages of this node.
type sealer struct {
	aead    cipher.AEAD
	sender  senderID
	counter uint64 // of the last message
}

func newSealer(key [32]byte) (*sealer, error) {
	s := &sealer{}
	rand.Read(s.sender[:])
	var err error
	s.aead, err = aeadOf(key, s.sender)
	return s, err
}

// skip leaves a gap, by which others see that something was not told.
func (s *sealer) skip() { s.counter++ }

// seal makes the next message of at most maxRecords bytes of records.
func (s *sealer) seal(records []byte, now time.Time) []byte {
	s.counter++
	size := minMessage
	for size < overhead+len(records) {
		size *= 2
	}
	message := make([]byte, headerSize, size)
	copy(message, s.sender[:])
	binary.BigEndian.PutUint64(message[len(s.sender):], s.counter)
	plain := make([]byte, 8, size-headerSize-tagSize)
	binary.BigEndian.PutUint64(plain, uint64(now.Unix()))
	plain = append(plain, records...)
	plain = plain[:cap(plain)]
	return s.aead.Seal(message, nonceOf(s.counter), plain, message)
}

// split takes a message's header off.
func split(message []byte) (sender senderID, counter uint64, err error) {
	if len(message) < minMessage || len(message) > maxRecords+overhead {
		return sender, 0, errMessage
	}
	copy(sender[:], message)
	return sender, binary.BigEndian.Uint64(message[len(sender):]), nil
}

// opener reads the messages of one other node.
type opener struct {
	aead  cipher.AEAD
	last  uint64 // counter of the newest message
	heard time.Time
}

// open gives what a message holds and when it was sealed.
func (o *opener) open(message []byte, counter uint64) (records []byte, sealed time.Time, err error) {
	header, body := message[:headerSize], message[headerSize:]
	plain, err := o.aead.Open(nil, nonceOf(counter), body, header)
	if err != nil {
		return nil, time.Time{}, errMessage
	}
	return plain[8:], time.Unix(int64(binary.BigEndian.Uint64(plain)), 0), nil
}
