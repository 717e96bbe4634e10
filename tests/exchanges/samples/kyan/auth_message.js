{
  type: 'auth',
  api_key: API_KEY,
}
