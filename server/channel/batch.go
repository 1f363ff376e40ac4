package channel

import (
	"context"
	"errors"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/storage"
)

const (
	// maxBatch is how many posts a batch may have.
	maxBatch = 64
	// maxPost is the size of one of them in bytes, as large as Post's.
	maxPost = 1 << 20
)

func (s *Service) batchPost(ctx context.Context, p *wire.Peer, req *qpcv1.BatchPostRequest) (*qpcv1.BatchPostResponse, error) {
	if len(req.Posts) < 1 || len(req.Posts) > maxBatch {
		return nil, errBatch
	}
	s.charge(p, len(req.Posts)-1) // the call itself counted as one
	c := &checker{service: s, channels: make(map[storage.ChannelID]found), failed: make(map[storage.ChannelID]bool)}
	errs := make([]error, len(req.Posts))
	var posts []storage.Post
	var places []int
	for i, one := range req.Posts {
		post, err := c.check(ctx, one)
		if errs[i] = err; err == nil {
			posts, places = append(posts, post), append(places, i)
		}
	}
	resp := &qpcv1.BatchPostResponse{Outcomes: make([]*qpcv1.PostOutcome, len(req.Posts))}
	for i, outcome := range s.store.PostBatch(ctx, posts) {
		if outcome.Err != nil {
			errs[places[i]] = storeError(outcome.Err)
			continue
		}
		s.waker.Wake(outcome.Posted.Appended...)
		resp.Outcomes[places[i]] = &qpcv1.PostOutcome{Outcome: &qpcv1.PostOutcome_Posted{
			Posted: &qpcv1.PostResponse{ChannelSeq: outcome.Posted.ChannelSeq},
		}}
	}
	for i, err := range errs {
		if err != nil {
			resp.Outcomes[i] = &qpcv1.PostOutcome{Outcome: &qpcv1.PostOutcome_Error{Error: s.typed(ctx, err).Proto()}}
		}
	}
	return resp, nil
}

// typed is what the caller is told of an error.
func (s *Service) typed(ctx context.Context, err error) *wire.Error {
	if e, ok := errors.AsType[*wire.Error](err); ok {
		return e
	}
	if e := s.explain(err); e != nil { // as where a call has one post
		return e
	}
	if ctx.Err() == nil {
		s.log.ErrorContext(ctx, "a post of a batch failed", "error", err)
	}
	return errInternal
}

// checker checks the posts of a batch in their order. It asks the store once
// for each channel.
type checker struct {
	service  *Service
	channels map[storage.ChannelID]found
	failed   map[storage.ChannelID]bool
}

type found struct {
	channel storage.Channel
	err     error
}

// check parses and verifies a post. Behind one that fails, those to the same
// channel are not tried.
func (c *checker) check(ctx context.Context, req *qpcv1.PostRequest) (storage.Post, error) {
	post, err := c.service.parsePost(req)
	if err != nil {
		return storage.Post{}, err
	}
	if proto.Size(req) > maxPost {
		c.failed[post.Channel] = true
		return storage.Post{}, errTooLarge
	}
	if c.failed[post.Channel] {
		return storage.Post{}, errNotTried
	}
	at, known := c.channels[post.Channel]
	if !known {
		at.channel, at.err = c.service.store.Channel(ctx, post.Channel)
		c.channels[post.Channel] = at
	}
	if err = at.err; err != nil {
		err = storeError(err)
	} else {
		err = c.service.verifyIn(ctx, at.channel, postDomain, post.Channel, post.Epoch, req.Body, req.Signature)
	}
	c.failed[post.Channel] = err != nil
	return post, err
}
