package client

import (
	"crypto/ed25519"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/franking"
	"quicprochat/core/identity"
	"quicprochat/core/mls"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// A KeyPackage that is not exactly right is not used: nobody is added by it, and
// nothing is left of the attempt.
func TestBadKeyPackages(t *testing.T) {
	f := newFakeServer(t)
	alice, bob, mallory := f.register("alice"), f.register("bob"), f.register("mallory")
	address := []byte("somewhere")
	key, err := identity.NewAccountKey()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	certify := func(id AccountID, device ed25519.PrivateKey, until time.Time) []mls.Extension {
		c, err := key.IssueCertificate(id, device.Public().(ed25519.PublicKey), "", now.Add(-72*time.Hour), until)
		if err != nil {
			t.Fatal(err)
		}
		data, err := marshalLeafState(c, address)
		if err != nil {
			t.Fatal(err)
		}
		return []mls.Extension{{Type: extLeafState, Data: data}}
	}
	made := func(edit func(*mls.KeyPackageOptions)) func(*qpcv1.DeviceKeys) {
		return func(keys *qpcv1.DeviceKeys) {
			o := mls.KeyPackageOptions{
				Suite: suite, Credential: bob.mlsCredential(), Signer: bob.self.signer,
				LeafExtensions: bob.leafState(address), ExtraCapabilities: capabilities(),
			}
			edit(&o)
			b, err := mls.NewKeyPackage(o)
			if err != nil {
				t.Error(err)
				return
			}
			keys.KeyPackage = b.KeyPackage()
		}
	}
	bad := map[string]func(*qpcv1.DeviceKeys){
		"garbage":       func(k *qpcv1.DeviceKeys) { k.KeyPackage = []byte("garbage") },
		"none":          func(k *qpcv1.DeviceKeys) { k.KeyPackage = nil },
		"truncated":     func(k *qpcv1.DeviceKeys) { k.KeyPackage = k.KeyPackage[:len(k.KeyPackage)-1] },
		"trailing byte": func(k *qpcv1.DeviceKeys) { k.KeyPackage = append(slices.Clone(k.KeyPackage), 0) },
		"signature": func(k *qpcv1.DeviceKeys) {
			k.KeyPackage = slices.Clone(k.KeyPackage)
			k.KeyPackage[len(k.KeyPackage)-1] ^= 1
		},
		"expired":       made(func(o *mls.KeyPackageOptions) { o.NotBefore, o.NotAfter = now.Add(-72*time.Hour), now.Add(-time.Hour) }),
		"not valid yet": made(func(o *mls.KeyPackageOptions) { o.NotBefore, o.NotAfter = now.Add(72*time.Hour), now.Add(96*time.Hour) }),
		"another suite": made(func(o *mls.KeyPackageOptions) { o.Suite = mls.SuiteX25519 }),
		"another's credential": made(func(o *mls.KeyPackageOptions) {
			o.Credential = mallory.mlsCredential()
		}),
		"another's certificate": made(func(o *mls.KeyPackageOptions) { o.LeafExtensions = mallory.leafState(address) }),
		"another's signer":      made(func(o *mls.KeyPackageOptions) { o.Signer = mallory.self.signer }),
		"certificate by another key": made(func(o *mls.KeyPackageOptions) {
			o.LeafExtensions = certify(bob.Me().AccountID, bob.self.signer, now.Add(time.Hour))
			o.Credential = mls.BasicCredential(identity.Credential{AccountID: bob.Me().AccountID, AccountKey: key.Public()}.Marshal())
		}),
		"no leaf state":   made(func(o *mls.KeyPackageOptions) { o.LeafExtensions = nil }),
		"no capabilities": made(func(o *mls.KeyPackageOptions) { o.ExtraCapabilities = mls.Capabilities{} }),
		"no hybrid key":   func(k *qpcv1.DeviceKeys) { k.HybridKey = nil },
		"another's hybrid key": func(k *qpcv1.DeviceKeys) {
			k.HybridKey = identity.SignHybridKey(mallory.self.signer, mallory.self.hybrid.Public())
		},
	}
	id := group(alice)
	before := alice.epoch(id).Epoch
	for name, falsify := range bad {
		f.mu.Lock()
		f.falsify = falsify
		f.mu.Unlock()
		if _, err := alice.StartDirect(t.Context(), "bob"); !errors.Is(err, ErrUnreachableUser) {
			t.Errorf("%s: %v", name, err)
		}
		if err := alice.AddMembers(t.Context(), id, []string{"bob"}); !errors.Is(err, ErrUnreachableUser) {
			t.Errorf("%s: add: %v", name, err)
		}
	}
	if list, err := alice.Conversations(t.Context()); err != nil || len(list) != 1 || alice.epoch(id).Epoch != before {
		t.Errorf("something was changed: %d conversations, %v", len(list), err)
	}
	f.mu.Lock()
	f.falsify = nil
	f.mu.Unlock()
	if err := alice.AddMembers(t.Context(), id, []string{"bob"}); err != nil {
		t.Error(err)
	}
}

// say posts what a member's own client would never post.
func (m *member) say(id ConversationID, make func(g *mls.Group) ([]byte, error)) {
	m.t.Helper()
	v := m.lookup(id)
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.open(m.t.Context()); err != nil {
		m.t.Fatal(err)
	}
	message, err := make(v.group)
	if err != nil {
		m.t.Fatal(err)
	}
	payload, err := v.post(random16(), message)
	if err != nil {
		m.t.Fatal(err)
	}
	var req qpcv1.PostRequest
	if err := proto.Unmarshal(payload, &req); err != nil {
		m.t.Fatal(err)
	}
	if err := m.anonymous.call(m.t.Context(), &req, new(qpcv1.PostResponse)); err != nil {
		m.t.Fatal(err)
	}
	err = v.write(m.t.Context(), func(t *transaction) error { // its keys are used up
		v.group.DiscardPending()
		return nil
	})
	if err != nil {
		m.t.Fatal(err)
	}
}

// A member that posts rubbish is a nuisance to nobody: those who can be told are told
// once, and everything goes on.
func TestMaliciousPosts(t *testing.T) {
	f := newFakeServer(t)
	alice, bob, mallory := f.register("alice"), f.register("bob"), f.register("mallory")
	id := group(alice, bob, mallory)
	content := func(m *qpcv1.Content) func(*mls.Group) ([]byte, error) {
		data, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		franked, err := franking.Seal(mallory.self.signer, mallory.self.account(), data)
		if err != nil {
			t.Fatal(err)
		}
		return func(g *mls.Group) ([]byte, error) { return g.Seal(franked, nil) }
	}
	body := func(s string) *qpcv1.Content_Text { return &qpcv1.Content_Text{Text: &qpcv1.Text{Body: s}} }
	r := random16()
	for _, rubbish := range []func(g *mls.Group) ([]byte, error){
		func(*mls.Group) ([]byte, error) { return []byte("garbage"), nil },
		func(g *mls.Group) ([]byte, error) { return g.Seal([]byte{0xff, 0xff}, nil) },
		func(g *mls.Group) ([]byte, error) { return g.Seal(nil, nil) },
		content(&qpcv1.Content{MessageId: r[:15], Body: body("short id")}),
		content(&qpcv1.Content{MessageId: r[:], Body: body(strings.Repeat("x", franking.MaxText+1))}),
		content(&qpcv1.Content{MessageId: r[:]}),
		func(g *mls.Group) ([]byte, error) { return g.ProposeUpdate(nil) },
		func(g *mls.Group) ([]byte, error) { return g.Propose(mls.RemoveProposal(1)) },
		func(g *mls.Group) ([]byte, error) {
			m, err := g.Seal([]byte("x"), nil)
			if err == nil {
				m[len(m)-1] ^= 1
			}
			return m, err
		},
		func(g *mls.Group) ([]byte, error) { // of an epoch that never was
			m, err := g.Seal([]byte("x"), nil)
			if err == nil {
				m[2+2+1+16] = 0x3f
			}
			return m, err
		},
		func(g *mls.Group) ([]byte, error) { // a commit that is not one of the channel's
			s, err := g.Commit(mls.CommitOptions{})
			if err != nil {
				return nil, err
			}
			return s.Message, nil
		},
	} {
		mallory.say(id, rubbish)
	}
	mallory.send(id, "sorry")
	bob.awaitTexts(id, "sorry")
	bob.send(id, "never mind")
	for _, m := range []*member{alice, bob} {
		m.awaitTexts(id, "sorry", "never mind")
		unreadable := slices.DeleteFunc(m.events(id), func(k EventKind) bool { return k != EventUnreadable })
		if len(unreadable) != 1 {
			t.Errorf("%d events about what could not be read", len(unreadable))
		}
	}
	if err := alice.Rename(t.Context(), id, "still ours"); err != nil {
		t.Error(err)
	}
	awaitSame(alice, bob, id)
	alice.reopen()
	bob.send(id, "after a restart")
	alice.awaitTexts(id, "sorry", "never mind", "after a restart")
}
