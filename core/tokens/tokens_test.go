package tokens

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/cloudflare/circl/group"
	"github.com/cloudflare/circl/oprf"
	"pgregory.net/rapid"
)

func testKeyOf(t testing.TB, secret byte, day uint32) *Key {
	t.Helper()
	k, err := DeriveKey(bytes.Repeat([]byte{secret}, 32), day)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func publicOf(k *Key) PublicKey { return PublicKey{ID: k.ID(), Bytes: k.Public()} }

func newTestBatch(t testing.TB, k *Key, n int) *Batch {
	t.Helper()
	b, err := NewBatch(publicOf(k), n)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func evaluate(t testing.TB, k *Key, b *Batch) (evaluated [][]byte, proof []byte) {
	t.Helper()
	evaluated, proof, err := k.Evaluate(b.Blinded())
	if err != nil {
		t.Fatal(err)
	}
	return evaluated, proof
}

func issue(t testing.TB, k *Key, n int) []*Token {
	t.Helper()
	b := newTestBatch(t, k, n)
	list, err := b.Finish(evaluate(t, k, b))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestIssueAndCheck(t *testing.T) {
	k := testKeyOf(t, 1, 20000)
	for _, n := range []int{1, 2, MaxBatch} {
		seen := make(map[string]bool)
		for _, token := range issue(t, k, n) {
			encoded := token.Bytes()
			if len(encoded) != TokenSize || seen[string(encoded)] {
				t.Fatalf("%d bytes, seen %v", len(encoded), seen[string(encoded)])
			}
			seen[string(encoded)] = true
			parsed, err := Parse(encoded)
			if err != nil {
				t.Fatal(err)
			}
			if *parsed != *token || parsed.KeyID != 20000 {
				t.Error("came back otherwise")
			}
			if err := k.Check(parsed); err != nil {
				t.Error(err)
			}
		}
		if len(seen) != n {
			t.Errorf("%d tokens, not %d", len(seen), n)
		}
	}
}

// What the server sees when it issues has nothing in common with what it sees
// when a token is spent.
func TestIssuingShowsNothingOfTheToken(t *testing.T) {
	k := testKeyOf(t, 1, 1)
	b := newTestBatch(t, k, 20)
	evaluated, proof := evaluate(t, k, b)
	list, err := b.Finish(evaluated, proof)
	if err != nil {
		t.Fatal(err)
	}
	seen := bytes.Join(append(append(b.Blinded(), evaluated...), proof), nil)
	for _, token := range list {
		spent := token.Bytes()[4:]
		for i := 0; i+8 <= len(spent); i++ {
			if bytes.Contains(seen, spent[i:i+8]) {
				t.Fatal("a token shares bytes with its issue")
			}
		}
	}
	// The same nonces are blinded differently every time.
	again, err := blind(publicOf(k), b.nonces, func(c oprf.VerifiableClient, in [][]byte) (*oprf.FinalizeData, *oprf.EvaluationRequest, error) {
		return c.Blind(in)
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range b.Blinded() {
		if bytes.Equal(b.Blinded()[i], again.Blinded()[i]) {
			t.Error("blinded twice alike")
		}
	}
}

func TestKeysOfDays(t *testing.T) {
	a, same, next, other := testKeyOf(t, 1, 7), testKeyOf(t, 1, 7), testKeyOf(t, 1, 8), testKeyOf(t, 2, 7)
	if !bytes.Equal(a.Public(), same.Public()) || len(a.Public()) != ElementSize {
		t.Error("a day's key changes")
	}
	if bytes.Equal(a.Public(), next.Public()) || bytes.Equal(a.Public(), other.Public()) {
		t.Error("keys repeat")
	}
	token := issue(t, a, 1)[0]
	if err := same.Check(token); err != nil {
		t.Error(err)
	}
	for what, k := range map[string]*Key{"next day": next, "other server": other} {
		if err := k.Check(token); !errors.Is(err, ErrToken) {
			t.Errorf("%s: %v", what, err)
		}
	}
	relabelled := *token
	relabelled.KeyID = 8
	if err := next.Check(&relabelled); !errors.Is(err, ErrToken) {
		t.Errorf("with another day written on it: %v", err)
	}
}

// A server that evaluates one account's batch with a key of its own is found
// out, as is every other answer.
func TestFinishRefuses(t *testing.T) {
	k, tagging := testKeyOf(t, 1, 7), testKeyOf(t, 9, 7)
	b := newTestBatch(t, k, 3)
	good, proof := evaluate(t, k, b)
	bad, badProof := evaluate(t, tagging, b)
	mixed := [][]byte{good[0], good[1], bad[2]}
	swapped := [][]byte{good[1], good[0], good[2]}
	identity := make([]byte, ElementSize)
	flipped := bytes.Clone(proof)
	flipped[3] ^= 1
	high := bytes.Repeat([]byte{0xff}, ProofSize)
	for what, c := range map[string]struct {
		evaluated [][]byte
		proof     []byte
		want      error
	}{
		"another key":        {bad, badProof, ErrProof},
		"another key's some": {mixed, proof, ErrProof},
		"order":              {swapped, proof, ErrProof},
		"another's proof":    {good, badProof, ErrProof},
		"proof changed":      {good, flipped, ErrProof},
		"no proof":           {good, nil, ErrProof},
		"long proof":         {good, append(bytes.Clone(proof), 0), ErrProof},
		"proof of ones":      {good, high, ErrProof},
		"proof of zeros":     {good, make([]byte, ProofSize), ErrProof},
		"fewer":              {good[:2], proof, ErrBatch},
		"more":               {append(good[:3:3], good[0]), proof, ErrBatch},
		"none":               {nil, proof, ErrBatch},
		"identity":           {[][]byte{good[0], identity, good[2]}, proof, ErrElement},
		"short element":      {[][]byte{good[0], good[1], good[2][1:]}, proof, ErrElement},
		"no element":         {[][]byte{good[0], good[1], high[:32]}, proof, ErrElement},
	} {
		if list, err := b.Finish(c.evaluated, c.proof); !errors.Is(err, c.want) || list != nil {
			t.Errorf("%s: %v, want %v", what, err, c.want)
		}
	}
	if _, err := b.Finish(good, proof); err != nil {
		t.Error(err)
	}
}

func TestEvaluateRefuses(t *testing.T) {
	k := testKeyOf(t, 1, 7)
	element := newTestBatch(t, k, 1).Blinded()[0]
	many := make([][]byte, MaxBatch+1)
	for i := range many {
		many[i] = element
	}
	for what, c := range map[string]struct {
		blinded [][]byte
		want    error
	}{
		"none": {nil, ErrBatch}, "too many": {many, ErrBatch},
		"identity": {[][]byte{make([]byte, 32)}, ErrElement}, "empty": {[][]byte{{}}, ErrElement},
		"long": {[][]byte{append(bytes.Clone(element), 0)}, ErrElement}, "not canonical": {[][]byte{bytes.Repeat([]byte{0xff}, 32)}, ErrElement},
	} {
		if _, _, err := k.Evaluate(c.blinded); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", what, err, c.want)
		}
	}
	for _, n := range []int{-1, 0, MaxBatch + 1} {
		if _, err := NewBatch(publicOf(k), n); !errors.Is(err, ErrBatch) {
			t.Errorf("batch of %d: %v", n, err)
		}
	}
	for what, public := range map[string][]byte{"none": nil, "identity": make([]byte, 32), "no element": bytes.Repeat([]byte{0xff}, 32), "long": make([]byte, 33)} {
		if _, err := NewBatch(PublicKey{Bytes: public}, 1); !errors.Is(err, ErrPublicKey) {
			t.Errorf("public key, %s: %v", what, err)
		}
	}
}

func TestEveryBitOfATokenCounts(t *testing.T) {
	k := testKeyOf(t, 1, 7)
	token := issue(t, k, 1)[0].Bytes()
	rapid.Check(t, func(t *rapid.T) {
		changed := bytes.Clone(token)
		changed[rapid.IntRange(0, TokenSize-1).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		parsed, err := Parse(changed)
		if err != nil {
			t.Fatal(err)
		}
		if err := k.Check(parsed); !errors.Is(err, ErrToken) {
			t.Fatalf("a changed token: %v", err)
		}
	})
	for _, n := range []int{0, TokenSize - 1, TokenSize + 1} {
		if _, err := Parse(make([]byte, n)); !errors.Is(err, ErrToken) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestTokensAndKeysDoNotPrint(t *testing.T) {
	k := testKeyOf(t, 1, 7)
	token := issue(t, k, 1)[0]
	var out strings.Builder
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "key", k, "token", token)
	fmt.Fprintf(&out, "%v %+v %#v %s %v %+v %#v %s", *k, *k, *k, *k, *token, *token, *token, *token)
	if strings.Count(out.String(), "[token key]") != 5 || strings.Count(out.String(), "[token]") != 5 {
		t.Errorf("shows: %s", &out)
	}
}

// unhex decodes hexadecimal in JSON.
type unhex []byte

func (u *unhex) UnmarshalText(text []byte) (err error) {
	*u, err = hex.DecodeString(string(text))
	return err
}

func raw(list []unhex) [][]byte {
	all := make([][]byte, len(list))
	for i, b := range list {
		all[i] = b
	}
	return all
}

func readVectors(t testing.TB, name string, into any) {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}

// The vectors of RFC 9497, A.1.2. Their inputs are not nonces of ours, so they
// go beneath the label.
func TestRFC9497(t *testing.T) {
	var file struct {
		Seed, KeyInfo, PkSm unhex
		Vectors             []struct {
			Input, Blind, Blinded, Evaluated, Output []unhex
			Proof                                    unhex
		}
	}
	readVectors(t, "rfc9497.json", &file)
	k, err := keyFromSeed(file.Seed, file.KeyInfo, 1)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(k.Public(), file.PkSm) {
		t.Errorf("public key %x", k.Public())
	}
	for i, v := range file.Vectors {
		var public oprf.PublicKey
		if err := public.UnmarshalBinary(suite, file.PkSm); err != nil {
			t.Fatal(err)
		}
		c := oprf.NewVerifiableClient(suite, &public)
		data, request, err := c.DeterministicBlind(raw(v.Input), scalars(t, raw(v.Blind)))
		if err != nil {
			t.Fatal(err)
		}
		blinded, err := encodeElements(request.Elements)
		if err != nil {
			t.Fatal(err)
		}
		evaluated, ownProof, err := k.Evaluate(blinded)
		if err != nil {
			t.Fatal(err)
		}
		for j := range blinded {
			if !bytes.Equal(blinded[j], v.Blinded[j]) || !bytes.Equal(evaluated[j], v.Evaluated[j]) {
				t.Errorf("vector %d: element %d", i, j)
			}
		}
		for what, proof := range map[string][]byte{"own proof": ownProof, "the vector's proof": v.Proof} {
			outputs, err := finish(c, data, raw(v.Evaluated), proof)
			if err != nil {
				t.Fatalf("vector %d, %s: %v", i, what, err)
			}
			for j := range outputs {
				if !bytes.Equal(outputs[j], v.Output[j]) {
					t.Errorf("vector %d: output %d", i, j)
				}
			}
		}
	}
	if len(file.Vectors) != 3 {
		t.Errorf("%d vectors", len(file.Vectors))
	}
}

func scalars(t *testing.T, encoded [][]byte) []group.Scalar {
	t.Helper()
	all := make([]group.Scalar, len(encoded))
	for i, b := range encoded {
		all[i] = suite.Group().NewScalar()
		if err := all[i].UnmarshalBinary(b); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

type ownVectors struct {
	Secret  unhex
	Day     uint32
	Public  unhex
	Tokens  []unhex
	Refused []unhex
}

// What an earlier build issued must be accepted by this one: a server is
// updated in the middle of a day.
func TestOwnVectors(t *testing.T) {
	var file ownVectors
	readVectors(t, "tokens.json", &file)
	k, err := DeriveKey(file.Secret, file.Day)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(k.Public(), file.Public) {
		t.Errorf("public key %x", k.Public())
	}
	check := func(b []byte) error {
		token, err := Parse(b)
		if err != nil {
			return err
		}
		return k.Check(token)
	}
	for i, b := range file.Tokens {
		if err := check(b); err != nil {
			t.Errorf("token %d: %v", i, err)
		}
	}
	for i, b := range file.Refused {
		if err := check(b); !errors.Is(err, ErrToken) {
			t.Errorf("refused %d: %v", i, err)
		}
	}
	if len(file.Tokens) < 2 || len(file.Refused) < 3 {
		t.Error("too few vectors")
	}
}

func FuzzParse(f *testing.F) {
	var file ownVectors
	readVectors(f, "tokens.json", &file)
	k := testKeyOf(f, 0x42, file.Day)
	good := []byte(file.Tokens[0]) // the same in every process
	f.Add(good)
	f.Add(good[1:])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		token, err := Parse(b)
		if err != nil {
			return
		}
		if !bytes.Equal(token.Bytes(), b) {
			t.Error("two encodings of one token")
		}
		if err := k.Check(token); err == nil && !bytes.Equal(b, good) {
			t.Error("a token from nowhere")
		}
	})
}

func FuzzEvaluate(f *testing.F) {
	k := testKeyOf(f, 1, 7)
	f.Add(newTestBatch(f, k, 1).Blinded()[0])
	f.Add(make([]byte, ElementSize))
	f.Fuzz(func(t *testing.T, b []byte) {
		evaluated, proof, err := k.Evaluate([][]byte{b})
		if err == nil && (len(evaluated) != 1 || len(evaluated[0]) != ElementSize || len(proof) != ProofSize) {
			t.Error("a wrong answer")
		}
	})
}

func FuzzFinish(f *testing.F) {
	k := testKeyOf(f, 1, 7)
	b := newTestBatch(f, k, 1)
	evaluated, proof := evaluate(f, k, b)
	f.Add(evaluated[0], proof)
	f.Add(make([]byte, ElementSize), make([]byte, ProofSize))
	f.Fuzz(func(t *testing.T, element, proof []byte) {
		if list, err := b.Finish([][]byte{element}, proof); err == nil && k.Check(list[0]) != nil {
			t.Error("a token that is none")
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	k := testKeyOf(b, 1, 7)
	token := issue(b, k, 1)[0]
	for b.Loop() {
		if err := k.Check(token); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEvaluate100(b *testing.B) {
	k := testKeyOf(b, 1, 7)
	batch := newTestBatch(b, k, MaxBatch)
	for b.Loop() {
		if _, _, err := k.Evaluate(batch.Blinded()); err != nil {
			b.Fatal(err)
		}
	}
}
