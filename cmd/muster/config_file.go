package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/goccy/go-yaml"
)

// yamlFile resolves flags from a configuration file whose keys are the flags' names, with - or _.
type yamlFile map[string]any

// loadYAML reads a configuration file.
func loadYAML(r io.Reader) (kong.Resolver, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	values := map[string]any{}
	if err := yaml.Unmarshal(text, &values); err != nil {
		return nil, fmt.Errorf("read YAML: %w", err)
	}
	file := yamlFile{}
	for key, value := range values {
		file[strings.ReplaceAll(key, "_", "-")] = value
	}
	return file, nil
}

// Validate rejects keys that are not a flag of any command, so that a misspelled key is not ignored.
func (f yamlFile) Validate(app *kong.Application) error {
	var known []string
	var collect func(*kong.Node)
	collect = func(n *kong.Node) {
		for _, flag := range n.Flags {
			known = append(known, flag.Name)
		}
		for _, child := range n.Children {
			collect(child)
		}
	}
	collect(app.Node)
	var faults []error
	for key := range f {
		if !slices.Contains(known, key) {
			faults = append(faults, fmt.Errorf("unknown key %q in the configuration file", key))
		}
	}
	return errors.Join(faults...)
}

// Resolve returns the value of a flag, nil if the file does not have it.
func (f yamlFile) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	value, ok := f[flag.Name]
	if !ok {
		return nil, nil
	}
	if list, ok := value.([]any); ok {
		var items []string
		for _, item := range list {
			items = append(items, fmt.Sprint(item))
		}
		return strings.Join(items, ","), nil
	}
	return fmt.Sprint(value), nil
}
