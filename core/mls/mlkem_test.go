package mls

import (
	"bytes"
	"math/rand"
	"slices"
	"testing"
)

// The short check of a public key says what the library says that expands it.
func TestPublicKeyCheck(t *testing.T) {
	for _, s := range suites {
		k, ok := s.kem.(*stdKEM)
		if !ok {
			continue
		}
		if _, short := mlkem768KeySize(k.kem); !short {
			continue
		}
		_, public, err := s.generateKeyPair()
		if err != nil {
			t.Fatal(err)
		}
		refused := 0
		try := func(key []byte) {
			_, err := k.kem.NewPublicKey(key)
			if s.validPublicKey(key) != (err == nil) {
				t.Errorf("%v: the library says %v", s.id, err)
			}
			if err != nil {
				refused++
			}
		}
		try(public)
		if refused > 0 {
			t.Fatalf("%v: a good key is refused", s.id)
		}
		for _, key := range [][]byte{nil, public[1:], append(slices.Clone(public), 0), bytes.Repeat([]byte{2}, len(public))} {
			try(key)
		}
		for range 2000 {
			key := slices.Clone(public)
			key[rand.Intn(len(key))] = byte(rand.Intn(256))
			try(key)
		}
		for _, edge := range [][3]byte{{0x00, 0x0d, 0}, {0x01, 0x0d, 0}, {0, 0x00, 0xd0}, {0, 0x10, 0xd0}, {0xff, 0xff, 0xff}} {
			key := slices.Clone(public)
			copy(key[3*rand.Intn(384):], edge[:])
			try(key)
		}
		if refused < 100 {
			t.Errorf("%v: only %d bad keys were refused", s.id, refused)
		}
	}
}
