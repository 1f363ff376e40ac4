package server

import (
	"crypto/ed25519"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/tokens"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// room is a channel as its members see it, with random bytes for MLS.
type room struct {
	f     *fixture
	anon  *conn // says nothing of who calls
	id    []byte
	epoch uint64
	keys  map[uint64]ed25519.PrivateKey
	// addresses of the members, in their order
	addresses [][]byte
}

func newRoom(f *fixture, members ...*member) *room {
	f.t.Helper()
	r := draftRoom(f, f.dial())
	for _, m := range members {
		r.addresses = append(r.addresses, m.address())
	}
	r.create()
	return r
}

// draftRoom is a room whose channel does not exist yet.
func draftRoom(f *fixture, anon *conn) *room {
	f.t.Helper()
	return &room{f: f, anon: anon, id: random(16), keys: make(map[uint64]ed25519.PrivateKey)}
}

// create makes the channel.
func (r *room) create() {
	r.f.t.Helper()
	must[qpcv1.CreateChannelResponse](r.anon, &qpcv1.CreateChannelRequest{ChannelId: r.id, VerifyKey: r.key(0), Addresses: r.addresses})
}

// key makes the key of an epoch where there is none, and returns its public half.
func (r *room) key(epoch uint64) ed25519.PublicKey {
	if r.keys[epoch] == nil {
		r.keys[epoch] = ed25519.NewKeyFromSeed(random(ed25519.SeedSize))
	}
	return publicOf(r.keys[epoch])
}

func signed(key ed25519.PrivateKey, domain string, m proto.Message) (body, signature []byte) {
	body, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	return body, ed25519.Sign(key, append([]byte(domain), body...))
}

func (r *room) postRequest(body *qpcv1.PostBody, key ed25519.PrivateKey) *qpcv1.PostRequest {
	raw, signature := signed(key, "qpc channel post v1\x00", body)
	return &qpcv1.PostRequest{Body: raw, Signature: signature}
}

func (r *room) commitRequest(body *qpcv1.CommitBody, key ed25519.PrivateKey) *qpcv1.CommitRequest {
	raw, signature := signed(key, "qpc channel commit v1\x00", body)
	return &qpcv1.CommitRequest{Body: raw, Signature: signature, Tokens: r.f.tokens(len(body.Welcomes))}
}

// tokens makes send tokens as the server would issue them.
func (f *fixture) tokens(n int) [][]byte {
	f.t.Helper()
	var all [][]byte
	for n > 0 {
		k, err := f.mint.Today()
		if err != nil {
			f.t.Fatal(err)
		}
		batch, err := tokens.NewBatch(tokens.PublicKey{ID: k.ID(), Bytes: k.Public()}, min(n, tokens.MaxBatch))
		if err != nil {
			f.t.Fatal(err)
		}
		evaluated, proof, err := k.Evaluate(batch.Blinded())
		if err != nil {
			f.t.Fatal(err)
		}
		list, err := batch.Finish(evaluated, proof)
		if err != nil {
			f.t.Fatal(err)
		}
		for _, token := range list {
			all = append(all, token.Bytes())
		}
		n -= len(list)
	}
	return all
}

func (r *room) getRequest(epoch uint64, key ed25519.PrivateKey) *qpcv1.GetChannelRequest {
	raw, signature := signed(key, "qpc channel get v1\x00", &qpcv1.GetChannelBody{ChannelId: r.id, Epoch: epoch})
	return &qpcv1.GetChannelRequest{Body: raw, Signature: signature}
}

func (r *room) deleteRequest(epoch uint64, key ed25519.PrivateKey) *qpcv1.DeleteChannelRequest {
	raw, signature := signed(key, "qpc channel delete v1\x00", &qpcv1.DeleteChannelBody{ChannelId: r.id, Epoch: epoch})
	return &qpcv1.DeleteChannelRequest{Body: raw, Signature: signature}
}

// postBody is a post at the current epoch.
func (r *room) postBody(message []byte) *qpcv1.PostBody {
	return &qpcv1.PostBody{ChannelId: r.id, Epoch: r.epoch, ItemId: random(16), MlsMessage: message}
}

// post posts at the current epoch and returns the item id.
func (r *room) post(message []byte) []byte {
	r.f.t.Helper()
	body := r.postBody(message)
	must[qpcv1.PostResponse](r.anon, r.postRequest(body, r.keys[r.epoch]))
	return body.ItemId
}

// commitBody is a commit of the current epoch that changes nothing else.
func (r *room) commitBody() *qpcv1.CommitBody {
	return &qpcv1.CommitBody{
		ChannelId: r.id, Epoch: r.epoch, ItemId: random(16), MlsMessage: random(100), NextVerifyKey: r.key(r.epoch + 1),
	}
}

// commit ends the current epoch and returns the item id.
func (r *room) commit(change ...func(*qpcv1.CommitBody)) []byte {
	r.f.t.Helper()
	body := r.commitBody()
	for _, c := range change {
		c(body)
	}
	must[qpcv1.CommitResponse](r.anon, r.commitRequest(body, r.keys[r.epoch]))
	r.epoch++
	return body.ItemId
}
