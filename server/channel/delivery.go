package channel

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/address"
	"quicprochat/server/queue"
	"quicprochat/server/storage"
)

// delivery makes the sealed bytes of one item for each queue that it goes to.
// What is the same for all of them is encoded once.
type delivery struct {
	sealer *address.Sealer
	// build makes the item's body when its place in the channel is known.
	build func(channelSeq uint64) *qpcv1.QueueItem

	encoded    []byte
	channelSeq uint64
}

// seal is a storage.SealFunc.
func (d *delivery) seal(queue storage.QueueID, seq, channelSeq uint64) ([]byte, error) {
	if d.encoded == nil || d.channelSeq != channelSeq {
		encoded, err := proto.Marshal(d.build(channelSeq))
		if err != nil {
			return nil, fmt.Errorf("encoding an item: %w", err)
		}
		d.encoded, d.channelSeq = encoded, channelSeq
	}
	return d.sealer.SealItem(queue, seq, d.encoded), nil
}

func (s *Service) messageDelivery(body *qpcv1.PostBody, now time.Time) *delivery {
	return &delivery{sealer: s.sealer, build: func(channelSeq uint64) *qpcv1.QueueItem {
		return &qpcv1.QueueItem{ItemId: body.ItemId, ReceivedAt: queue.Millis(now), Body: &qpcv1.QueueItem_Message{
			Message: &qpcv1.ChannelMessage{ChannelId: body.ChannelId, ChannelSeq: channelSeq, Epoch: body.Epoch, MlsMessage: body.MlsMessage},
		}}
	}}
}

func (s *Service) commitDelivery(body *qpcv1.CommitBody, now time.Time) *delivery {
	return &delivery{sealer: s.sealer, build: func(channelSeq uint64) *qpcv1.QueueItem {
		return &qpcv1.QueueItem{ItemId: body.ItemId, ReceivedAt: queue.Millis(now), Body: &qpcv1.QueueItem_Commit{
			Commit: &qpcv1.ChannelCommit{ChannelId: body.ChannelId, ChannelSeq: channelSeq, Epoch: body.Epoch, MlsMessage: body.MlsMessage},
		}}
	}}
}

func (s *Service) welcomeDelivery(itemID, sealed []byte, now time.Time) *delivery {
	return &delivery{sealer: s.sealer, build: func(uint64) *qpcv1.QueueItem {
		return &qpcv1.QueueItem{ItemId: itemID, ReceivedAt: queue.Millis(now), Body: &qpcv1.QueueItem_Welcome{
			Welcome: &qpcv1.SealedWelcome{Sealed: sealed},
		}}
	}}
}

// resolve is a storage.ResolveFunc.
func (s *Service) resolve(address []byte) (storage.QueueID, bool) {
	queue, err := s.sealer.OpenAddress(address)
	return queue, err == nil
}
