package server

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"sync"
	"testing"
	"time"

	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/storage"
)

func TestPostReachesEveryMember(t *testing.T) {
	f := start(t)
	alice, bob := f.register("alice"), f.register("bob")
	alice.subscribe(0)
	bob.subscribe(0)
	r := newRoom(f, alice, bob)
	message := []byte("sealed by MLS")
	before := uint64(time.Now().Add(-time.Minute).UnixMilli())
	item := r.post(message)
	for _, m := range []*member{alice, bob} { // the poster, whoever it was, too
		got := m.next()
		body := got.GetMessage()
		if got.Seq != 1 || !bytes.Equal(got.ItemId, item) || got.ReceivedAt < before || body == nil || body.ChannelSeq != 1 ||
			body.Epoch != 0 || !bytes.Equal(body.ChannelId, r.id) || !bytes.Equal(body.MlsMessage, message) {
			t.Errorf("%s got %v", m.name, got)
		}
	}
}

func TestRepeatedPostAppendsNothing(t *testing.T) {
	f := start(t)
	alice := f.register("alice")
	alice.subscribe(0)
	r := newRoom(f, alice)
	req := r.postRequest(r.postBody([]byte("once")), r.keys[0])
	first := must[qpcv1.PostResponse](r.anon, req)
	r.post([]byte("between"))
	again := must[qpcv1.PostResponse](r.anon, req)
	if first.ChannelSeq != 1 || again.ChannelSeq != 1 {
		t.Errorf("seqs %d and %d", first.ChannelSeq, again.ChannelSeq)
	}
	r.post([]byte("after"))
	for want := range uint64(3) {
		if got := alice.next(); got.Seq != want+1 || got.GetMessage().ChannelSeq != want+1 {
			t.Errorf("got seq %d, channel seq %d", got.Seq, got.GetMessage().ChannelSeq)
		}
	}
}

func TestCommitMovesTheChannel(t *testing.T) {
	f := start(t)
	alice, bob, carol := f.register("alice"), f.register("bob"), f.register("carol")
	for _, m := range []*member{alice, bob, carol} {
		m.subscribe(0)
	}
	r := newRoom(f, alice, bob)
	newAddress, welcome := carol.address(), []byte("sealed first contact")
	item := r.commit(func(b *qpcv1.CommitBody) {
		b.AddAddresses, b.RemoveAddresses = [][]byte{newAddress}, [][]byte{r.addresses[1]}
		b.Welcomes = []*qpcv1.AddressedWelcome{{Address: newAddress, Sealed: welcome}}
	})
	for _, m := range []*member{alice, bob} { // the one who is removed, too
		if got := m.next(); !bytes.Equal(got.ItemId, item) || got.GetCommit().GetEpoch() != 0 || got.GetCommit().GetChannelSeq() != 1 {
			t.Errorf("%s got %v", m.name, got)
		}
	}
	got := carol.next()
	if !bytes.Equal(got.GetWelcome().GetSealed(), welcome) || len(got.ItemId) != 16 || bytes.Equal(got.ItemId, item) {
		t.Errorf("carol got %v", got)
	}
	next := r.post([]byte("in the next epoch"))
	for _, m := range []*member{alice, carol} {
		if got := m.next(); !bytes.Equal(got.ItemId, next) || got.GetMessage().GetEpoch() != 1 || got.GetMessage().GetChannelSeq() != 2 {
			t.Errorf("%s got %v", m.name, got)
		}
	}
	if last := bob.subscribe(1); last != 1 {
		t.Errorf("bob, who was removed, has %d items", last)
	}
}

func TestEpochWindow(t *testing.T) {
	f := start(t)
	alice := f.register("alice")
	r := newRoom(f, alice)
	var winners [][]byte
	for range storage.PastEpochs + 2 {
		winners = append(winners, r.commit())
	}
	for epoch := range r.epoch + 2 {
		r.key(epoch)
		body := r.postBody([]byte("x"))
		body.Epoch = epoch
		_, err := call[qpcv1.PostResponse](r.anon, r.postRequest(body, r.keys[epoch]))
		state, getErr := call[qpcv1.GetChannelResponse](r.anon, r.getRequest(epoch, r.keys[epoch]))
		switch {
		case epoch < r.epoch-storage.PastEpochs:
			for _, err := range []error{err, getErr} {
				e := wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_STALE_EPOCH)
				if e.Stale.GetCurrentEpoch() != r.epoch || !bytes.Equal(e.Stale.GetWinnerItemId(), winners[epoch]) {
					t.Errorf("epoch %d: %v", epoch, e.Stale)
				}
			}
		case epoch > r.epoch:
			e := wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_STALE_EPOCH)
			if e.Stale.GetCurrentEpoch() != r.epoch || len(e.Stale.GetWinnerItemId()) != 0 {
				t.Errorf("epoch %d: %v", epoch, e.Stale)
			}
		default:
			if err != nil || getErr != nil {
				t.Fatalf("epoch %d: %v, %v", epoch, err, getErr)
			}
			var want []byte
			if epoch < r.epoch {
				want = winners[epoch]
			}
			if state.CurrentEpoch != r.epoch || !bytes.Equal(state.WinnerItemId, want) {
				t.Errorf("epoch %d: %v", epoch, state)
			}
		}
	}
}

func TestRepeatedCommitIsAnsweredLikeTheFirstTime(t *testing.T) {
	f := start(t)
	r := newRoom(f, f.register("alice"))
	req := r.commitRequest(r.commitBody(), r.keys[0])
	first := must[qpcv1.CommitResponse](r.anon, req)
	r.epoch++
	r.commit()
	if again := must[qpcv1.CommitResponse](r.anon, req); again.ChannelSeq != first.ChannelSeq {
		t.Errorf("seqs %d and %d", first.ChannelSeq, again.ChannelSeq)
	}
	if state := must[qpcv1.GetChannelResponse](r.anon, r.getRequest(2, r.keys[2])); state.CurrentEpoch != 2 {
		t.Errorf("epoch %d", state.CurrentEpoch)
	}
}

// Two members commit at once, fifty times: one wins each epoch, and the other
// is told who.
func TestCommitRace(t *testing.T) {
	f := start(t)
	alice, bob := f.register("alice"), f.register("bob")
	alice.subscribe(0)
	r := newRoom(f, alice, bob)
	conns := []*conn{f.dial(), f.dial()}
	for range 50 {
		keys := [2]ed25519.PrivateKey{ed25519.NewKeyFromSeed(random(32)), ed25519.NewKeyFromSeed(random(32))}
		items := [2][]byte{random(16), random(16)}
		var errs [2]error
		var wg sync.WaitGroup
		for i, c := range conns {
			body := &qpcv1.CommitBody{ChannelId: r.id, Epoch: r.epoch, ItemId: items[i], MlsMessage: []byte{byte(i)}, NextVerifyKey: publicOf(keys[i])}
			req := r.commitRequest(body, r.keys[r.epoch])
			wg.Go(func() { _, errs[i] = call[qpcv1.CommitResponse](c, req) })
		}
		wg.Wait()
		winner := 0
		if errs[0] != nil {
			winner = 1
		}
		if errs[winner] != nil {
			t.Fatalf("epoch %d: nobody won: %v, %v", r.epoch, errs[0], errs[1])
		}
		e := wantCode(t, errs[1-winner], qpcv1.ErrorCode_ERROR_CODE_STALE_EPOCH)
		if e.Stale.GetCurrentEpoch() != r.epoch+1 || !bytes.Equal(e.Stale.GetWinnerItemId(), items[winner]) {
			t.Fatalf("epoch %d: the loser is told %v", r.epoch, e.Stale)
		}
		if got := alice.next(); !bytes.Equal(got.ItemId, items[winner]) || got.GetCommit().GetEpoch() != r.epoch {
			t.Fatalf("epoch %d: got %v", r.epoch, got)
		}
		r.epoch++
		r.keys[r.epoch] = keys[winner]
		must[qpcv1.AckResponse](alice.conn, &qpcv1.AckRequest{UpToSeq: r.epoch})
	}
}

func TestSignaturesAreChecked(t *testing.T) {
	f := start(t)
	alice := f.register("alice")
	r, other := newRoom(f, alice), newRoom(f, alice)
	wrongKey := ed25519.NewKeyFromSeed(random(32))
	post := r.postRequest(r.postBody([]byte("x")), r.keys[0])
	for name, damaged := range map[string]*qpcv1.PostRequest{
		"another key":       r.postRequest(r.postBody([]byte("x")), wrongKey),
		"another channel's": r.postRequest(r.postBody([]byte("x")), other.keys[0]),
		"no signature":      {Body: post.Body},
		"short signature":   {Body: post.Body, Signature: post.Signature[:63]},
		"another domain":    {Body: post.Body, Signature: ed25519.Sign(r.keys[0], append([]byte("qpc channel commit v1\x00"), post.Body...))},
		"no domain":         {Body: post.Body, Signature: ed25519.Sign(r.keys[0], post.Body)},
	} {
		if _, err := call[qpcv1.PostResponse](r.anon, damaged); wire.CodeOf(err) != qpcv1.ErrorCode_ERROR_CODE_BAD_SIGNATURE {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := call[qpcv1.CommitResponse](r.anon, r.commitRequest(r.commitBody(), wrongKey))
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_BAD_SIGNATURE)
	_, err = call[qpcv1.GetChannelResponse](r.anon, r.getRequest(0, wrongKey))
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_BAD_SIGNATURE)
	_, err = call[qpcv1.DeleteChannelResponse](r.anon, r.deleteRequest(0, wrongKey))
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_BAD_SIGNATURE)

	// A removed member has the keys of the epochs before its removal only.
	r.commit()
	body := r.postBody([]byte("x"))
	_, err = call[qpcv1.PostResponse](r.anon, r.postRequest(body, r.keys[0]))
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_BAD_SIGNATURE)
	if last := alice.subscribe(0); last != 1 {
		t.Errorf("%d items, want the commit alone", last)
	}
}

func TestCreateChannelIsValidated(t *testing.T) {
	f := start(t, func(c *Config) { c.Limits.ChannelAddresses = 3 })
	alice := f.register("alice")
	anon, key := f.dial(), publicOf(ed25519.NewKeyFromSeed(random(32)))
	addresses := must[qpcv1.NewAddressResponse](alice.conn, &qpcv1.NewAddressRequest{Count: 4}).Addresses
	foreign := start(t).register("bob").address()
	id := random(16)
	for name, tc := range map[string]struct {
		req  *qpcv1.CreateChannelRequest
		want qpcv1.ErrorCode
	}{
		"no id":             {&qpcv1.CreateChannelRequest{VerifyKey: key, Addresses: addresses[:1]}, qpcv1.ErrorCode_ERROR_CODE_MALFORMED},
		"long id":           {&qpcv1.CreateChannelRequest{ChannelId: random(17), VerifyKey: key, Addresses: addresses[:1]}, qpcv1.ErrorCode_ERROR_CODE_MALFORMED},
		"short key":         {&qpcv1.CreateChannelRequest{ChannelId: id, VerifyKey: key[:31], Addresses: addresses[:1]}, qpcv1.ErrorCode_ERROR_CODE_MALFORMED},
		"no address":        {&qpcv1.CreateChannelRequest{ChannelId: id, VerifyKey: key}, qpcv1.ErrorCode_ERROR_CODE_MALFORMED},
		"epoch too large":   {&qpcv1.CreateChannelRequest{ChannelId: id, VerifyKey: key, Epoch: 1 << 63, Addresses: addresses[:1]}, qpcv1.ErrorCode_ERROR_CODE_MALFORMED},
		"foreign address":   {&qpcv1.CreateChannelRequest{ChannelId: id, VerifyKey: key, Addresses: [][]byte{addresses[0], foreign}}, qpcv1.ErrorCode_ERROR_CODE_ADDRESS_INVALID},
		"malformed address": {&qpcv1.CreateChannelRequest{ChannelId: id, VerifyKey: key, Addresses: [][]byte{{1}}}, qpcv1.ErrorCode_ERROR_CODE_ADDRESS_INVALID},
		"too many":          {&qpcv1.CreateChannelRequest{ChannelId: id, VerifyKey: key, Addresses: addresses}, qpcv1.ErrorCode_ERROR_CODE_CHANNEL_FULL},
	} {
		if _, err := call[qpcv1.CreateChannelResponse](anon, tc.req); wire.CodeOf(err) != tc.want {
			t.Errorf("%s: got %v, want %v", name, err, tc.want)
		}
	}
	good := &qpcv1.CreateChannelRequest{ChannelId: id, VerifyKey: key, Addresses: addresses[:2]}
	for range 2 {
		must[qpcv1.CreateChannelResponse](anon, good)
	}
	good.Addresses = addresses[:1]
	_, err := call[qpcv1.CreateChannelResponse](anon, good)
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_CHANNEL_EXISTS)
}

func TestChannelRequestsAreValidated(t *testing.T) {
	f := start(t, func(c *Config) { c.Limits.ChannelAddresses = 3 })
	alice := f.register("alice")
	alice.subscribe(0)
	r := newRoom(f, alice)
	addresses := must[qpcv1.NewAddressResponse](alice.conn, &qpcv1.NewAddressRequest{Count: 4}).Addresses

	for name, tc := range map[string]struct {
		change func(*qpcv1.PostBody)
		want   qpcv1.ErrorCode
	}{
		"short channel id": {func(b *qpcv1.PostBody) { b.ChannelId = b.ChannelId[1:] }, qpcv1.ErrorCode_ERROR_CODE_MALFORMED},
		"unknown channel":  {func(b *qpcv1.PostBody) { b.ChannelId = random(16) }, qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_CHANNEL},
		"no item id":       {func(b *qpcv1.PostBody) { b.ItemId = nil }, qpcv1.ErrorCode_ERROR_CODE_MALFORMED},
		"no message":       {func(b *qpcv1.PostBody) { b.MlsMessage = nil }, qpcv1.ErrorCode_ERROR_CODE_MALFORMED},
	} {
		body := r.postBody([]byte("x"))
		tc.change(body)
		if _, err := call[qpcv1.PostResponse](r.anon, r.postRequest(body, r.keys[0])); wire.CodeOf(err) != tc.want {
			t.Errorf("post, %s: got %v, want %v", name, err, tc.want)
		}
	}
	welcome := func(address, sealed []byte) []*qpcv1.AddressedWelcome {
		return []*qpcv1.AddressedWelcome{{Address: address, Sealed: sealed}}
	}
	for name, tc := range map[string]struct {
		change func(*qpcv1.CommitBody)
		want   qpcv1.ErrorCode
	}{
		"short channel id":     {func(b *qpcv1.CommitBody) { b.ChannelId = nil }, qpcv1.ErrorCode_ERROR_CODE_MALFORMED},
		"no message":           {func(b *qpcv1.CommitBody) { b.MlsMessage = nil }, qpcv1.ErrorCode_ERROR_CODE_MALFORMED},
		"no next key":          {func(b *qpcv1.CommitBody) { b.NextVerifyKey = nil }, qpcv1.ErrorCode_ERROR_CODE_MALFORMED},
		"foreign addition":     {func(b *qpcv1.CommitBody) { b.AddAddresses = [][]byte{random(56)} }, qpcv1.ErrorCode_ERROR_CODE_ADDRESS_INVALID},
		"malformed removal":    {func(b *qpcv1.CommitBody) { b.RemoveAddresses = [][]byte{random(5)} }, qpcv1.ErrorCode_ERROR_CODE_ADDRESS_INVALID},
		"too many":             {func(b *qpcv1.CommitBody) { b.AddAddresses = addresses }, qpcv1.ErrorCode_ERROR_CODE_CHANNEL_FULL},
		"too many in all":      {func(b *qpcv1.CommitBody) { b.AddAddresses = addresses[:3] }, qpcv1.ErrorCode_ERROR_CODE_CHANNEL_FULL},
		"foreign welcome":      {func(b *qpcv1.CommitBody) { b.Welcomes = welcome(random(56), []byte("x")) }, qpcv1.ErrorCode_ERROR_CODE_ADDRESS_INVALID},
		"welcome without body": {func(b *qpcv1.CommitBody) { b.Welcomes = welcome(addresses[0], nil) }, qpcv1.ErrorCode_ERROR_CODE_MALFORMED},
		"nil welcome":          {func(b *qpcv1.CommitBody) { b.Welcomes = []*qpcv1.AddressedWelcome{{}} }, qpcv1.ErrorCode_ERROR_CODE_ADDRESS_INVALID},
	} {
		body := r.commitBody()
		tc.change(body)
		if _, err := call[qpcv1.CommitResponse](r.anon, r.commitRequest(body, r.keys[0])); wire.CodeOf(err) != tc.want {
			t.Errorf("commit, %s: got %v, want %v", name, err, tc.want)
		}
	}
	// None of it changed anything.
	if state := must[qpcv1.GetChannelResponse](r.anon, r.getRequest(0, r.keys[0])); state.CurrentEpoch != 0 {
		t.Errorf("epoch %d", state.CurrentEpoch)
	}
	item := r.post([]byte("first"))
	if got := alice.next(); got.Seq != 1 || !bytes.Equal(got.ItemId, item) {
		t.Errorf("got %v", got)
	}
}

func TestDeleteChannel(t *testing.T) {
	f := start(t)
	alice := f.register("alice")
	r := newRoom(f, alice)
	r.commit()
	_, err := call[qpcv1.DeleteChannelResponse](r.anon, r.deleteRequest(0, r.keys[0]))
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_STALE_EPOCH)
	must[qpcv1.DeleteChannelResponse](r.anon, r.deleteRequest(1, r.keys[1]))
	_, err = call[qpcv1.PostResponse](r.anon, r.postRequest(r.postBody([]byte("x")), r.keys[1]))
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_CHANNEL)
	if last := alice.subscribe(0); last != 1 {
		t.Errorf("what was delivered is gone: %d items", last)
	}
}

func TestLargeCommit(t *testing.T) {
	f := start(t)
	alice, bob := f.register("alice"), f.register("bob")
	alice.subscribe(0)
	bob.subscribe(0)
	r := newRoom(f, alice)
	message, sealed, address := random(8<<20), random(4<<20), bob.address()
	r.commit(func(b *qpcv1.CommitBody) {
		b.MlsMessage, b.AddAddresses = message, [][]byte{address}
		b.Welcomes = []*qpcv1.AddressedWelcome{{Address: address, Sealed: sealed}}
	})
	if got := alice.next(); !bytes.Equal(got.GetCommit().GetMlsMessage(), message) {
		t.Error("the commit differs")
	}
	if got := bob.next(); !bytes.Equal(got.GetWelcome().GetSealed(), sealed) {
		t.Error("the welcome differs")
	}
	// A post has less room.
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := r.anon.Call(ctx, r.postRequest(r.postBody(message), r.keys[1]), &qpcv1.PostResponse{})
	if err == nil {
		t.Error("a post of 8 MiB was taken")
	}
}
