package address

import (
	"bytes"
	"crypto/rand"
	"errors"
	"testing"

	"quicprochat/server/storage"
)

func newQueueID() (id storage.QueueID) {
	rand.Read(id[:])
	return id
}

func sealer(b byte) *Sealer {
	return NewSealer([32]byte{b, 1}, [32]byte{b, 2})
}

func TestAddressRoundTrip(t *testing.T) {
	s, queue := sealer(1), newQueueID()
	a, b := s.NewAddress(queue), s.NewAddress(queue)
	if len(a) != Size || Size != 56 {
		t.Fatalf("length %d, Size %d, want 56", len(a), Size)
	}
	if bytes.Equal(a, b) || bytes.Contains(a, queue[:]) {
		t.Error("addresses of one queue can be linked")
	}
	for _, address := range [][]byte{a, b} {
		if got, err := s.OpenAddress(address); err != nil || got != queue {
			t.Errorf("got %x, %v", got, err)
		}
	}
}

func TestForeignAddressesAreRefused(t *testing.T) {
	s := sealer(1)
	good := s.NewAddress(newQueueID())
	bad := [][]byte{nil, {}, good[:Size-1], append(bytes.Clone(good), 0), sealer(2).NewAddress(newQueueID()), make([]byte, Size)}
	for i := range good {
		flipped := bytes.Clone(good)
		flipped[i] ^= 1
		bad = append(bad, flipped)
	}
	for _, address := range bad {
		if _, err := s.OpenAddress(address); !errors.Is(err, ErrInvalid) {
			t.Errorf("%x: got %v, want ErrInvalid", address, err)
		}
	}
}

func TestItemsOpenInTheirQueueOnly(t *testing.T) {
	s, queue := sealer(1), newQueueID()
	plaintext := []byte("item")
	sealed := s.SealItem(queue, 7, plaintext)
	if len(sealed) != len(plaintext)+Overhead {
		t.Errorf("length %d", len(sealed))
	}
	if got, err := s.OpenItem(queue, 7, sealed); err != nil || !bytes.Equal(got, plaintext) {
		t.Errorf("got %q, %v", got, err)
	}
	flipped := bytes.Clone(sealed)
	flipped[len(flipped)-1] ^= 1
	for name, open := range map[string]func() ([]byte, error){
		"another queue": func() ([]byte, error) { return s.OpenItem(newQueueID(), 7, sealed) },
		"another seq":   func() ([]byte, error) { return s.OpenItem(queue, 8, sealed) },
		"another key":   func() ([]byte, error) { return sealer(2).OpenItem(queue, 7, sealed) },
		"changed":       func() ([]byte, error) { return s.OpenItem(queue, 7, flipped) },
		"short":         func() ([]byte, error) { return s.OpenItem(queue, 7, sealed[:Overhead-1]) },
		"empty":         func() ([]byte, error) { return s.OpenItem(queue, 7, nil) },
	} {
		if got, err := open(); !errors.Is(err, ErrItem) || got != nil {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}

func BenchmarkOpenAddress(b *testing.B) {
	s := sealer(1)
	address := s.NewAddress(newQueueID())
	for b.Loop() {
		if _, err := s.OpenAddress(address); err != nil {
			b.Fatal(err)
		}
	}
}
