package openapi_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"longwire/openapi"
)

func TestSpecificationIsValid(t *testing.T) {
	t.Parallel()
	spec, err := openapi.Load()
	require.NoError(t, err)
	require.NotEmpty(t, spec.JSON)
}
