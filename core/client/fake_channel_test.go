package client

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
)

type protoMessage = proto.Message

// fakeChannel is a channel of the fake server.
type fakeChannel struct {
	id        []byte
	epoch     uint64
	seq       uint64
	keys      map[uint64]ed25519.PublicKey
	winners   map[uint64][]byte
	addresses [][]byte
	items     map[string]uint64
}

// An address of the fake server is a device id and something random.
func (f *fakeServer) newAddress(p *wire.Peer, req *qpcv1.NewAddressRequest) (*qpcv1.NewAddressResponse, error) {
	resp := new(qpcv1.NewAddressResponse)
	id := f.device(p).id
	for range req.Count {
		nonce := make([]byte, 8)
		rand.Read(nonce)
		resp.Addresses = append(resp.Addresses, slices.Concat(id[:], nonce))
	}
	return resp, nil
}

func (f *fakeServer) subscribe(p *wire.Peer, req *qpcv1.SubscribeRequest) (*qpcv1.SubscribeResponse, error) {
	d := f.device(p)
	d.peer = p
	f.push(d, slices.DeleteFunc(slices.Clone(d.items), func(i *qpcv1.QueueItem) bool { return i.Seq <= req.AfterSeq })...)
	return &qpcv1.SubscribeResponse{LastSeq: d.lastSeq}, nil
}

func (f *fakeServer) fetch(p *wire.Peer, req *qpcv1.FetchRequest) (*qpcv1.FetchResponse, error) {
	after := func(i *qpcv1.QueueItem) bool { return i.Seq <= req.AfterSeq }
	return &qpcv1.FetchResponse{Items: slices.DeleteFunc(slices.Clone(f.device(p).items), after)}, nil
}

func (f *fakeServer) ack(p *wire.Peer, req *qpcv1.AckRequest) (*qpcv1.AckResponse, error) {
	d := f.device(p)
	d.items = slices.DeleteFunc(d.items, func(i *qpcv1.QueueItem) bool { return i.Seq <= req.UpToSeq })
	return &qpcv1.AckResponse{}, nil
}

func (f *fakeServer) push(d *fakeDevice, items ...*qpcv1.QueueItem) {
	if d.peer == nil || d.held || len(items) == 0 {
		return
	}
	// A client that is gone gets them when it subscribes again.
	_ = d.peer.Push(context.Background(), qpcv1.EventType_EVENT_TYPE_QUEUE_ITEMS, &qpcv1.QueueItems{Items: items})
}

// deliver appends an item to a device's queue.
func (f *fakeServer) deliver(d *fakeDevice, item *qpcv1.QueueItem) {
	d.lastSeq++
	item = proto.CloneOf(item)
	item.Seq, item.ReceivedAt = d.lastSeq, uint64(time.Now().UnixMilli())
	d.items = append(d.items, item)
	f.push(d, item)
}

// inject puts an item of the test's own making into a client's queue.
func (f *fakeServer) inject(c *Client, item *qpcv1.QueueItem) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.deliver(f.devices[c.Me().DeviceID], item)
}

// hold keeps a client's queue items back; release lets them go.
func (f *fakeServer) hold(c *Client) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.devices[c.Me().DeviceID].held = true
}

func (f *fakeServer) release(c *Client) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := f.devices[c.Me().DeviceID]
	d.held = false
	f.push(d, d.items...)
}

func (f *fakeServer) createChannel(_ *wire.Peer, req *qpcv1.CreateChannelRequest) (*qpcv1.CreateChannelResponse, error) {
	id := ConversationID(req.ChannelId)
	if f.channels[id] == nil {
		f.channels[id] = &fakeChannel{
			id: req.ChannelId, epoch: req.Epoch, keys: map[uint64]ed25519.PublicKey{req.Epoch: req.VerifyKey},
			winners: map[uint64][]byte{}, addresses: req.Addresses, items: map[string]uint64{},
		}
	}
	return &qpcv1.CreateChannelResponse{}, nil
}

// open checks a request's signature and tells whether the item is new.
func (ch *fakeChannel) open(label string, epoch uint64, body, signature, item []byte) (seq uint64, err error) {
	if ch == nil {
		return 0, refuse(qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_CHANNEL)
	}
	key := ch.keys[epoch]
	if key == nil || !ed25519.Verify(key, slices.Concat([]byte(label), []byte{0}, body), signature) {
		return 0, refuse(qpcv1.ErrorCode_ERROR_CODE_BAD_SIGNATURE)
	}
	return ch.items[string(item)], nil
}

func (ch *fakeChannel) stale(epoch uint64) error {
	return &wire.Error{
		Code:  qpcv1.ErrorCode_ERROR_CODE_STALE_EPOCH,
		Stale: &qpcv1.StaleEpoch{CurrentEpoch: ch.epoch, WinnerItemId: ch.winners[epoch]},
	}
}

// fanOut delivers an item to all members.
func (f *fakeServer) fanOut(ch *fakeChannel, item *qpcv1.QueueItem) {
	for _, address := range ch.addresses {
		f.deliver(f.devices[DeviceID(address[:16])], item)
	}
}

func (f *fakeServer) post(_ *wire.Peer, req *qpcv1.PostRequest) (*qpcv1.PostResponse, error) {
	var body qpcv1.PostBody
	if err := proto.Unmarshal(req.Body, &body); err != nil {
		return nil, err
	}
	ch := f.channels[ConversationID(body.ChannelId)]
	seq, err := ch.open(labelPost, body.Epoch, req.Body, req.Signature, body.ItemId)
	if err != nil || seq != 0 {
		return &qpcv1.PostResponse{ChannelSeq: seq}, err
	}
	if body.Epoch+5 < ch.epoch || f.strict && body.Epoch != ch.epoch {
		return nil, ch.stale(body.Epoch)
	}
	ch.seq++
	ch.items[string(body.ItemId)] = ch.seq
	f.fanOut(ch, &qpcv1.QueueItem{ItemId: body.ItemId, Body: &qpcv1.QueueItem_Message{Message: &qpcv1.ChannelMessage{
		ChannelId: body.ChannelId, ChannelSeq: ch.seq, Epoch: body.Epoch, MlsMessage: body.MlsMessage,
	}}})
	return &qpcv1.PostResponse{ChannelSeq: ch.seq}, nil
}

func (f *fakeServer) batchPost(p *wire.Peer, req *qpcv1.BatchPostRequest) (*qpcv1.BatchPostResponse, error) {
	f.batches = append(f.batches, len(req.Posts))
	resp := new(qpcv1.BatchPostResponse)
	failed := make(map[string]bool)
	for _, one := range req.Posts {
		var body qpcv1.PostBody
		if err := proto.Unmarshal(one.Body, &body); err != nil {
			return nil, err
		}
		var posted *qpcv1.PostResponse
		err := refuse(qpcv1.ErrorCode_ERROR_CODE_NOT_TRIED)
		if !failed[string(body.ChannelId)] {
			posted, err = f.post(p, one)
		}
		outcome := &qpcv1.PostOutcome{Outcome: &qpcv1.PostOutcome_Posted{Posted: posted}}
		if e, ok := errors.AsType[*wire.Error](err); ok {
			failed[string(body.ChannelId)] = true
			outcome.Outcome = &qpcv1.PostOutcome_Error{Error: e.Proto()}
		}
		resp.Outcomes = append(resp.Outcomes, outcome)
	}
	return resp, nil
}

func (f *fakeServer) commit(_ *wire.Peer, req *qpcv1.CommitRequest) (*qpcv1.CommitResponse, error) {
	var body qpcv1.CommitBody
	if err := proto.Unmarshal(req.Body, &body); err != nil {
		return nil, err
	}
	ch := f.channels[ConversationID(body.ChannelId)]
	seq, err := ch.open(labelCommit, body.Epoch, req.Body, req.Signature, body.ItemId)
	if err != nil || seq != 0 {
		return &qpcv1.CommitResponse{ChannelSeq: seq}, err
	}
	if body.Epoch != ch.epoch {
		return nil, ch.stale(body.Epoch)
	}
	if f.foreign != nil && slices.ContainsFunc(body.AddAddresses, func(a []byte) bool { return string(a) == string(f.foreign) }) {
		return nil, refuse(qpcv1.ErrorCode_ERROR_CODE_ADDRESS_INVALID)
	}
	if err := f.payCommit(req, &body); err != nil {
		return nil, err
	}
	ch.seq++
	ch.items[string(body.ItemId)] = ch.seq
	ch.winners[ch.epoch] = body.ItemId
	f.fanOut(ch, &qpcv1.QueueItem{ItemId: body.ItemId, Body: &qpcv1.QueueItem_Commit{Commit: &qpcv1.ChannelCommit{
		ChannelId: body.ChannelId, ChannelSeq: ch.seq, Epoch: body.Epoch, MlsMessage: body.MlsMessage,
	}}})
	ch.epoch++
	ch.keys[ch.epoch] = body.NextVerifyKey
	ch.addresses = slices.DeleteFunc(ch.addresses, func(a []byte) bool {
		return slices.ContainsFunc(body.RemoveAddresses, func(r []byte) bool { return string(r) == string(a) })
	})
	for _, a := range body.AddAddresses {
		if !slices.ContainsFunc(ch.addresses, func(b []byte) bool { return string(a) == string(b) }) {
			ch.addresses = append(ch.addresses, a)
		}
	}
	for _, w := range body.Welcomes {
		f.deliver(f.devices[DeviceID(w.Address[:16])], &qpcv1.QueueItem{
			ItemId: w.Address, Body: &qpcv1.QueueItem_Welcome{Welcome: &qpcv1.SealedWelcome{Sealed: w.Sealed}},
		})
	}
	return &qpcv1.CommitResponse{ChannelSeq: ch.seq}, nil
}

func (f *fakeServer) deleteChannel(_ *wire.Peer, req *qpcv1.DeleteChannelRequest) (*qpcv1.DeleteChannelResponse, error) {
	var body qpcv1.DeleteChannelBody
	if err := proto.Unmarshal(req.Body, &body); err != nil {
		return nil, err
	}
	ch := f.channels[ConversationID(body.ChannelId)]
	if _, err := ch.open(labelDelete, body.Epoch, req.Body, req.Signature, nil); err != nil {
		return nil, err
	}
	delete(f.channels, ConversationID(body.ChannelId))
	return &qpcv1.DeleteChannelResponse{}, nil
}
