package mls

import (
	"bytes"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// passiveVector is a member that joins by a Welcome and then follows the
// commits of others.
type passiveVector struct {
	CipherSuite   Suite           `json:"cipher_suite"`
	ExternalPSKs  []passivePSK    `json:"external_psks"`
	KeyPackage    hexBytes        `json:"key_package"`
	Signature     hexBytes        `json:"signature_priv"`
	Encryption    hexBytes        `json:"encryption_priv"`
	Init          hexBytes        `json:"init_priv"`
	Welcome       hexBytes        `json:"welcome"`
	Tree          hexBytes        `json:"ratchet_tree"`
	Authenticator hexBytes        `json:"initial_epoch_authenticator"`
	Epochs        []passiveCommit `json:"epochs"`
}

type passivePSK struct {
	ID  hexBytes `json:"psk_id"`
	PSK hexBytes `json:"psk"`
}

type passiveCommit struct {
	Proposals     []hexBytes `json:"proposals"`
	Commit        hexBytes   `json:"commit"`
	Authenticator hexBytes   `json:"epoch_authenticator"`
}

// history is what passive clients have been through: the epochs of groups that a
// later case may go on from.
type history struct {
	epochs     map[string][]pastGroup
	resumption map[string][]byte
}

// pastGroup is a member's group as it was in an epoch.
type pastGroup struct {
	signer crypto.Signer
	store  records
}

func newHistory() *history {
	return &history{epochs: map[string][]pastGroup{}, resumption: map[string][]byte{}}
}

func epochKey(groupID []byte, epoch uint64) string { return fmt.Sprintf("%x/%d", groupID, epoch) }

func (h *history) remember(g *Group, store records) {
	key := epochKey(g.ID(), g.Epoch())
	h.epochs[key] = append(h.epochs[key], pastGroup{g.signer, maps.Clone(store)})
	if secret, ok := g.ResumptionPSK(g.Epoch()); ok {
		h.resumption[key] = secret
	}
}

// runPassiveClients follows one case after the other. One that goes on from a group that
// has not been seen waits for the others.
func runPassiveClients(t *testing.T, h *history, cases []vectorCase) {
	for last := false; len(cases) > 0; {
		var waiting []vectorCase
		for _, c := range cases {
			c.follow(t, func() {
				var v passiveVector
				c.decode(t, &v)
				err := v.follow(t, h, c.suite)
				var successor *SuccessorError
				switch {
				case !last && (errors.As(err, &successor) || errors.Is(err, ErrMissingPSK)):
					waiting = append(waiting, c)
				case err != nil:
					t.Error(err)
				}
			})
		}
		last = len(waiting) == len(cases)
		cases = waiting
	}
}

func (v *passiveVector) config(h *history) Config {
	return Config{
		Auth: anyone{}, Handshakes: HandshakesMixed,
		ExternalPSK: func(id []byte) ([]byte, bool) {
			i := slices.IndexFunc(v.ExternalPSKs, func(p passivePSK) bool { return bytes.Equal(p.ID, id) })
			if i < 0 {
				return nil, false
			}
			return v.ExternalPSKs[i].PSK, true
		},
		ResumptionPSK: func(groupID []byte, epoch uint64) ([]byte, bool) {
			secret, ok := h.resumption[epochKey(groupID, epoch)]
			return secret, ok
		},
	}
}

func (v *passiveVector) join(h *history, s *suite) (*Group, error) {
	kp, err := unmarshal(v.KeyPackage, readMessage)
	if err != nil {
		return nil, fmt.Errorf("key_package: %w", err)
	}
	if kp.keyPackage == nil {
		return nil, errors.New("key_package is another message")
	}
	bundle := &KeyPackageBundle{kp: kp.keyPackage, initPrivate: v.Init, encryptPrivate: v.Encryption}
	signer, err := ParseSigner(s.id, v.Signature)
	if err != nil {
		return nil, err
	}
	tree := []byte(v.Tree)
	if len(tree) == 0 {
		tree = nil
	}
	g, err := Join(v.config(h), signer, bundle, v.Welcome, tree)
	var successor *SuccessorError
	if !errors.As(err, &successor) {
		return g, err
	}
	var failed error
	for _, past := range h.epochs[epochKey(successor.GroupID, successor.Epoch)] {
		old, err := Load(v.config(h), past.signer, past.store.each)
		if err != nil {
			return nil, err
		}
		if g, err = old.JoinSuccessor(signer, bundle, v.Welcome, tree); err == nil {
			return g, nil
		}
		failed = errors.Join(failed, err)
	}
	if failed != nil {
		return nil, failed
	}
	return nil, err
}

// follow joins and processes, starting each epoch from the records of the one before.
func (v *passiveVector) follow(t *testing.T, h *history, s *suite) error {
	g, err := v.join(h, s)
	if err != nil {
		return fmt.Errorf("joining: %w", err)
	}
	store, cfg, signer := records{}, g.cfg, g.signer
	if v.Authenticator != nil {
		equal(t, "initial epoch authenticator", g.EpochAuthenticator(), v.Authenticator)
	}
	for k, e := range v.Epochs {
		if !g.Active() || g.ReInit() != nil {
			t.Logf("the group is over for this client, and %d of its %d epochs are left out", len(v.Epochs)-k, len(v.Epochs))
			break
		}
		store.apply(g.TakeChanges())
		h.remember(g, store)
		if g, err = Load(cfg, signer, store.each); err != nil {
			return fmt.Errorf("epoch %d: %w", k, err)
		}
		if err := e.follow(g); err != nil {
			return fmt.Errorf("epoch %d: %w", k, err)
		}
		if g.Active() && e.Authenticator != nil {
			equal(t, fmt.Sprintf("epoch authenticator %d", k), g.EpochAuthenticator(), e.Authenticator)
		}
	}
	store.apply(g.TakeChanges())
	h.remember(g, store)
	return nil
}

func (e *passiveCommit) follow(g *Group) error {
	for i, p := range e.Proposals {
		if _, err := g.Process(p); err != nil {
			return fmt.Errorf("proposal %d: %w", i, err)
		}
	}
	r, err := g.Process(e.Commit)
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	staged, ok := r.(*StagedCommit)
	if !ok {
		return fmt.Errorf("commit is a %T", r)
	}
	return g.Merge(staged)
}

// records is a store of a group's records in memory.
type records map[string][]byte

func (r records) apply(changes []Change) {
	for _, c := range changes {
		if c.Value == nil {
			delete(r, string(c.Key))
		} else {
			r[string(c.Key)] = c.Value
		}
	}
}

func (r records) each(yield func(key, value []byte) bool) {
	for k, v := range r {
		if !yield([]byte(k), bytes.Clone(v)) {
			return
		}
	}
}

// Cases may come in any order, their bytes in capitals, and one alone without a list.
func TestPassiveClientVariants(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("testdata", "passive-client.json"))
	if err != nil {
		t.Fatal(err)
	}
	cases, err := splitCases(b)
	if err != nil {
		t.Fatal(err)
	}
	cases = cases[:3] // of the first suite
	h := newHistory()
	runVectors(t, h, inCapitals(cases[0]))
	reversed := slices.Clone(cases)
	slices.Reverse(reversed)
	runVectors(t, newHistory(), must(json.Marshal(reversed)))
	runVectors(t, h, must(json.Marshal(cases[1:2])))

	// The successors are not joined without the groups before them.
	for _, raw := range cases[1:] {
		c, kind, err := classify(0, raw)
		if err != nil || kind.name != "passive-client" {
			t.Fatal(err)
		}
		var v passiveVector
		c.decode(t, &v)
		var successor *SuccessorError
		if err := v.follow(t, newHistory(), c.suite); !errors.As(err, &successor) {
			t.Errorf("joined out of nothing: %v", err)
		}
	}
}

// inCapitals turns the digits of hex strings into capitals.
func inCapitals(raw []byte) []byte {
	return regexp.MustCompile(`"[0-9a-f]{8,}"`).ReplaceAllFunc(raw, bytes.ToUpper)
}
