package main

import (
	"fmt"

	"quicprochat/core/mls"
)

type sealParams struct {
	Group string `json:"group"`
	Data  octets `json:"data"`
	AAD   octets `json:"aad"`
}

func (s *session) seal(p sealParams) (messageResult, error) {
	g, err := s.groupOf(p.Group)
	if err != nil {
		return messageResult{}, err
	}
	defer g.keep()
	message, err := g.Seal(p.Data, p.AAD)
	return messageResult{message}, err
}

type openParams struct {
	Group   string `json:"group"`
	Message octets `json:"message"`
}

// open is process for application messages alone: what is no such message is
// refused before it changes anything.
func (s *session) open(p openParams) (applicationInfo, error) {
	if _, err := s.groupOf(p.Group); err != nil {
		return applicationInfo{}, err
	}
	info, err := mls.Peek(p.Message)
	if err != nil {
		return applicationInfo{}, err
	}
	if info.Handshake {
		return applicationInfo{}, fmt.Errorf("%w: not an application message", mls.ErrUnsupported)
	}
	r, err := s.process(processParams{Group: p.Group, Message: p.Message})
	if err != nil {
		return applicationInfo{}, err
	}
	return *r.Application, nil
}

type exportParams struct {
	Group   string `json:"group"`
	Label   string `json:"label"`
	Context octets `json:"context"`
	Length  int    `json:"length"`
}

type exportResult struct {
	Secret octets `json:"secret"`
}

func (s *session) export(p exportParams) (exportResult, error) {
	g, err := s.groupOf(p.Group)
	if err != nil {
		return exportResult{}, err
	}
	secret, err := g.Export(p.Label, p.Context, p.Length)
	return exportResult{secret}, err
}
