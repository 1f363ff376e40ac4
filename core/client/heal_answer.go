package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"quicprochat/core/identity"
	"quicprochat/core/mls"
	qpcv1 "quicprochat/proto/qpc/v1"
)

const (
	// An answer costs a token: a device gets at most answersPerDevice in each
	// answerWindow, in each conversation, and all together answersInAll in a day.
	answersPerDevice = 6
	answerWindow     = time.Hour
	answersInAll     = 100
)

// errNoAnswer says why somebody who asks for the way back gets no answer.
var errNoAnswer = errors.New("client: no way back for whoever asks")

// answerLimit counts answers. The zero answerLimit has counted none.
type answerLimit struct {
	mu  sync.Mutex
	all []answered
	per map[answeredDevice][]time.Time
}

type answered struct {
	device  DeviceID
	request [16]byte
	at      time.Time
}

type answeredDevice struct {
	conversation ConversationID
	device       DeviceID
}

// allow counts an answer, where there may be one: not a second one to one request,
// which the server might have brought again to see who answers.
func (l *answerLimit) allow(to answeredDevice, request [16]byte, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	since := func(list []time.Time, d time.Duration) []time.Time {
		return slices.DeleteFunc(list, func(at time.Time) bool { return !at.After(now.Add(-d)) })
	}
	l.all = slices.DeleteFunc(l.all, func(a answered) bool { return !a.at.After(now.Add(-rejoinLifetime)) })
	for key, list := range l.per {
		if list = since(list, answerWindow); len(list) == 0 {
			delete(l.per, key)
		} else {
			l.per[key] = list
		}
	}
	if slices.ContainsFunc(l.all, func(a answered) bool { return a.device == to.device && a.request == request }) {
		return false
	}
	if len(l.all) >= answersInAll || len(l.per[to]) >= answersPerDevice {
		return false
	}
	if l.per == nil {
		l.per = make(map[answeredDevice][]time.Time)
	}
	l.all, l.per[to] = append(l.all, answered{to.device, request, now}), append(l.per[to], now)
	return true
}

// receiveRejoinRequest answers a member that has lost the group, apart from the
// queue. Who is none, or asks too often, gets nothing, and so does everybody where
// this device follows the group no longer itself.
func (c *Client) receiveRejoinRequest(sender *identity.Certificate, request *qpcv1.RejoinRequest) {
	v := c.addressee(request.ChannelId)
	if v == nil || len(request.RequestId) != 16 {
		return
	}
	c.spawn(func() {
		ctx, cancel := context.WithTimeout(c.ctx, backgroundTimeout)
		defer cancel()
		if err := v.answerRejoin(ctx, sender, request); err != nil && c.ctx.Err() == nil {
			c.log.Info("way back not shown", "error", err)
		}
	})
}

func (v *conversation) answerRejoin(ctx context.Context, sender *identity.Certificate, request *qpcv1.RejoinRequest) error {
	leaf, answer, err := v.wayBack(ctx, sender, request.RequestId)
	if err != nil {
		return err
	}
	defer clear(answer.ChannelSeed)
	defer clear(answer.RejoinKey)
	return v.c.tell(ctx, leaf, &qpcv1.ContactBody{Body: &qpcv1.ContactBody_RejoinAnswer{RejoinAnswer: answer}}, v.c.now().Add(rejoinLifetime))
}

// wayBack makes the answer for a device that is in the group now.
func (v *conversation) wayBack(ctx context.Context, sender *identity.Certificate, request []byte) (*mls.LeafNode, *qpcv1.RejoinAnswer, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.usable(); err != nil {
		return nil, nil, err
	}
	if v.notes.Creating {
		return nil, nil, fmt.Errorf("%w: the group is being made", errNoAnswer)
	}
	if err := v.open(ctx); err != nil {
		return nil, nil, err
	}
	leaf := v.leafOfDevice(sender)
	if leaf == nil {
		return nil, nil, fmt.Errorf("%w: not a member", errNoAnswer)
	}
	if !v.c.answers.allow(answeredDevice{v.id, sender.DeviceID()}, [16]byte(request), v.c.now()) {
		return nil, nil, fmt.Errorf("%w: asks too often", errNoAnswer)
	}
	info, err := v.group.GroupInfo(true)
	if err != nil {
		return nil, nil, err
	}
	seed, err := v.group.Export(channelKeyLabel, v.id[:], 32)
	if err != nil {
		return nil, nil, err
	}
	key, err := v.rejoinKey()
	if err != nil {
		return nil, nil, err
	}
	return leaf, &qpcv1.RejoinAnswer{
		ChannelId: v.id[:], RequestId: request, Epoch: v.group.Epoch(), GroupInfo: info, ChannelSeed: seed, RejoinKey: key,
	}, nil
}

// rejoinKey is the key under which an external commit of the present epoch is sealed.
func (v *conversation) rejoinKey() ([]byte, error) {
	return v.group.Export(rejoinKeyLabel, v.id[:], rejoinKeySize)
}

// leafOfDevice is the leaf of the device of a certificate, nil where it has none.
func (v *conversation) leafOfDevice(cert *identity.Certificate) *mls.LeafNode {
	for m := range v.group.Members() {
		if m.Index == v.group.OwnIndex() || !bytes.Equal(m.SignatureKey, cert.DeviceKey) {
			continue
		}
		if account, err := accountOf(m.LeafNode); err == nil && account == cert.AccountID {
			return m.LeafNode
		}
	}
	return nil
}
