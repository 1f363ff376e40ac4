// Package address makes the two kinds of sealed bytes that keep the server's
// database from telling who is in which conversation.
//
// A queue address is what others see of a device's queue: the queue's id
// sealed to the server's address key under a fresh nonce. Each group gets
// another one, so that neither members nor a stolen database can link two
// addresses of a device. An item is what waits in a queue, sealed to the
// server's storage key for its place in that queue.
//
// All methods are safe for concurrent use.
package address

import (
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"

	"golang.org/x/crypto/chacha20poly1305"

	"quicprochat/server/storage"
)

// Size is the length of a queue address in bytes: nonce, queue id, tag.
const Size = chacha20poly1305.NonceSizeX + len(storage.QueueID{}) + chacha20poly1305.Overhead

// Overhead is how much longer a sealed item is than its plaintext.
const Overhead = chacha20poly1305.NonceSizeX + chacha20poly1305.Overhead

// ErrInvalid means that an address was not made with this server's key. The
// caller refuses the request.
var ErrInvalid = errors.New("address: not an address of this server")

// ErrItem means that a stored item does not open: it was changed, moved to
// another place, or sealed with another key.
var ErrItem = errors.New("address: a stored item does not open")

var (
	addressDomain = []byte("qpc queue address v1")
	itemDomain    = []byte("qpc queue item v1\x00")
)

// Sealer makes and opens queue addresses and items.
type Sealer struct {
	addresses, items cipher.AEAD
}

// NewSealer takes the address key and the storage key.
func NewSealer(addressKey, storageKey [32]byte) *Sealer {
	return &Sealer{addresses: newAEAD(addressKey), items: newAEAD(storageKey)}
}

func newAEAD(key [32]byte) cipher.AEAD {
	aead, err := chacha20poly1305.NewX(key[:])
	if err != nil {
		panic("address: the key length is fixed: " + err.Error())
	}
	return aead
}

// NewAddress returns a fresh address of queue, of Size bytes.
func (s *Sealer) NewAddress(queue storage.QueueID) []byte {
	address := make([]byte, chacha20poly1305.NonceSizeX, Size)
	rand.Read(address)
	return s.addresses.Seal(address, address, queue[:], addressDomain)
}

// OpenAddress returns the queue behind address, or ErrInvalid.
func (s *Sealer) OpenAddress(address []byte) (storage.QueueID, error) {
	if len(address) != Size {
		return storage.QueueID{}, ErrInvalid
	}
	nonce, sealed := address[:chacha20poly1305.NonceSizeX], address[chacha20poly1305.NonceSizeX:]
	var id storage.QueueID
	if _, err := s.addresses.Open(id[:0], nonce, sealed, addressDomain); err != nil {
		return storage.QueueID{}, ErrInvalid
	}
	return id, nil
}

// SealItem seals plaintext for the position seq of queue.
func (s *Sealer) SealItem(queue storage.QueueID, seq uint64, plaintext []byte) []byte {
	sealed := make([]byte, chacha20poly1305.NonceSizeX, len(plaintext)+Overhead)
	rand.Read(sealed)
	return s.items.Seal(sealed, sealed, plaintext, itemData(queue, seq))
}

// OpenItem opens what SealItem made for the same queue and seq, or returns
// ErrItem.
func (s *Sealer) OpenItem(queue storage.QueueID, seq uint64, sealed []byte) ([]byte, error) {
	if len(sealed) < Overhead {
		return nil, ErrItem
	}
	nonce, body := sealed[:chacha20poly1305.NonceSizeX], sealed[chacha20poly1305.NonceSizeX:]
	plaintext, err := s.items.Open(nil, nonce, body, itemData(queue, seq))
	if err != nil {
		return nil, ErrItem
	}
	return plaintext, nil
}

func itemData(queue storage.QueueID, seq uint64) []byte {
	data := make([]byte, 0, len(itemDomain)+len(queue)+8)
	data = append(data, itemDomain...)
	data = append(data, queue[:]...)
	return binary.BigEndian.AppendUint64(data, seq)
}
